// SPDX-License-Identifier: Apache-2.0

// What other threads tell a loop: tasks, and to stop. The queue knows whether its loop sleeps, and wakes it:
// a lock decides whether a post came before the loop fell asleep, which then does not, or after, and then
// finds it asleep.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>

#include <portolan/callback.hpp>

#include "os/event_counter.hpp"

namespace portolan::port {

class TaskQueue {
 public:
  using Task = Callback<void()>;

  // From any thread.
  void post(Task task);
  void stop() noexcept;

  // The loop's thread only.

  /// Moves what was posted behind `tasks`.
  void take(std::deque<Task>& tasks);
  [[nodiscard]] bool take_stop() noexcept;

  /// Whether a task or a stop waits, or did a moment ago.
  [[nodiscard]] bool attention() const noexcept {
    // [L2] relaxed; pairs with [L1]: it only says that a look under the lock is worth while.
    return attention_.load(std::memory_order_relaxed);
  }

  /// From now on a post signals the bell. False if there is something to do instead.
  [[nodiscard]] bool fall_asleep(os::EventCounter& bell) noexcept;
  void wake_up() noexcept;

  /// Nothing is taken any more; what is there is destroyed.
  void end() noexcept;
  [[nodiscard]] bool ended() const noexcept;

 private:
  void ring_if_asleep() noexcept;

  mutable std::mutex mutex_;
  std::deque<Task> tasks_;
  os::EventCounter* bell_ = nullptr;  // while the loop sleeps and nobody has rung
  bool stop_ = false;
  bool ended_ = false;
  std::atomic<bool> attention_{false};  // whether tasks_ or stop_ is set
};

}  // namespace portolan::port
