// SPDX-License-Identifier: Apache-2.0

// The loop in which listeners run: one for each thread that asks for it, with tasks, timers and signals
// besides the ports. It sleeps in epoll when nothing is there, after looking out for some microseconds.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/export.hpp>

namespace portolan {

namespace port {
class LoopCore;
struct EventLoopAccess;
}  // namespace port

inline namespace v1 {

enum class TimerId : std::uint64_t { none = 0 };

/// A turn of the loop handles the tasks that were posted before it, the timers that are due, and up to 64
/// messages of each port that has any, so that nobody starves. What a callable throws stops nothing else: it
/// goes to the exception handler; without one, the first exception of a turn is thrown at the turn's end by
/// the call that ran it, and the loop may be run again.
///
/// Everything but post() and stop() belongs to the loop's own thread (debug builds throw InvalidStateError).
/// The loop ends with its thread: what it had to do is dropped, and ports outlive it unharmed. In a forked
/// child the loop starts anew, empty.
class PORTOLAN_API EventLoop {
 public:
  /// This thread's loop. A thread that is already destroying its thread-local objects gets one that does
  /// nothing.
  static EventLoop& current();

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  /// Turns until stop(), or until nothing can happen any more: no task, no timer, nothing pending, and no
  /// open port with a listener (unless unref'd). A signal handler alone keeps no loop running. None of these
  /// four may be called from within a turn of the same loop: InvalidStateError. Throws PortError if there are
  /// no descriptors to sleep on.
  void run();

  /// The same, for `duration` at most.
  void run_for(std::chrono::nanoseconds duration);

  /// Waits for one task, timer or message and handles it. False if there is nothing to wait for, or after
  /// stop().
  bool run_one();

  /// One turn without waiting. Returns how many tasks, timers and messages it handled.
  std::size_t poll();

  /// Ends the run() in progress after its turn; without one, the next. From any thread.
  void stop() noexcept;

  /// Has the loop call `task` on its own thread, in the order of the posts. From any thread, also from within
  /// a task, which will not starve others. Dropped if the loop has ended.
  void post(Callback<void()> task);

  /// Once after `delay`, or every `period`: timers run in the order of their times, equal ones in the order
  /// in which they were set. An interval that comes late is not made up for.
  TimerId set_timeout(std::chrono::nanoseconds delay, Callback<void()> task);
  TimerId set_interval(std::chrono::nanoseconds period, Callback<void()> task);

  /// It will not run any more; unknown ones are ignored, and so is the one that is running, if a timeout.
  void clear(TimerId timer) noexcept;

  /// Calls `handler`, with the signal's number if it takes one, in a turn after the signal was delivered to
  /// this process; signals that come close together count as one. Replaces the handler that this loop had for
  /// it; the signal's former disposition comes back when the loop ends. Throws PortError (a number that is
  /// none, SIGKILL), or InvalidStateError if another loop has it.
  template <class F>
  requires std::invocable<F&, int> || std::invocable<F&>
  void on_signal(int signal, F handler) {
    if constexpr (std::invocable<F&, int>)
      watch_signal(signal, std::move(handler));
    else
      watch_signal(signal, [f = std::move(handler)](int) mutable { f(); });
  }

  /// How long the loop looks on for messages of ports that were busy a moment ago before it sleeps. Without
  /// this it finds out by itself, up to 50 us, and less where that keeps failing. Looking on keeps a
  /// processor busy, and spares both sides a sleep and a wake (some 25 us); zero sleeps at once. Tasks,
  /// timers and signals come at once as ever.
  void set_busy_poll(std::chrono::nanoseconds longest);

  /// For a loop of somebody else's: a descriptor that is readable (level-triggered) as long as poll() has
  /// something to do. It stays the loop's. Throws PortError.
  int native_handle();

  /// Called with every exception that a listener or task lets out. An empty one restores the default. If it
  /// throws itself, that is treated as if there were none.
  void set_exception_handler(Callback<void(std::exception_ptr)> handler);

 private:
  friend struct port::EventLoopAccess;
  explicit EventLoop(std::shared_ptr<port::LoopCore> core) noexcept;

  void watch_signal(int signal, Callback<void(int)> handler);

  std::shared_ptr<port::LoopCore> core_;
};

}  // namespace v1
}  // namespace portolan
