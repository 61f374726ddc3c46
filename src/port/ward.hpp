// SPDX-License-Identifier: Apache-2.0

// A process that a Worker has started, until it is reaped. Its pidfd is a source in the loop of the thread
// that started it, which tells the exit; the Worker may be used, and destroyed, on another thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <portolan/callback.hpp>
#include <portolan/exit_status.hpp>

#include "os/fork_watch.hpp"
#include "os/process.hpp"
#include "port/loop_access.hpp"
#include "port/loop_source.hpp"

namespace portolan::port {

class Ward final : public LoopSource, public std::enable_shared_from_this<Ward> {
 public:
  using ExitHandler = Callback<void(ExitStatus)>;

  void begin(os::SpawnedProcess process) noexcept { process_ = std::move(process); }
  [[nodiscard]] int pid() const noexcept { return process_.pid; }
  // In a forked child it is nobody's ward.
  [[nodiscard]] bool inherited() const noexcept { return os::forked_since(birth_); }

  // Reaps. Empty on timeout; a negative one is none. The same answer from then on.
  std::optional<ExitStatus> wait(std::int64_t timeout_ns) noexcept;
  void signal(int number) const noexcept { static_cast<void>(os::send_signal(process_.pidfd.get(), number)); }

  // In this thread's loop from now on, until the exit was told. Throws PortError; InvalidStateError if it is
  // in another thread's.
  void watch();
  void set_exit_handler(ExitHandler handler) noexcept;
  void set_ref(bool ref) noexcept;

  // Nobody is told any more; from any thread.
  void unwatch() noexcept;
  // Nobody waits for it any more: its loop reaps it, or reap_released().
  void release() noexcept;
  static void reap_released() noexcept;

  std::size_t serve(std::size_t most) override;
  [[nodiscard]] bool ready() noexcept override { return os::is_dead(process_.pidfd.get()); }
  [[nodiscard]] int descriptor() const noexcept override { return process_.pidfd.get(); }
  bool announce_sleep(bool) noexcept override { return !ready(); }
  void announce_awake() noexcept override {}
  [[nodiscard]] bool keeps_loop_alive() const noexcept override;

 private:
  void forget_released() noexcept;

  const std::uint32_t birth_ = os::fork_generation();
  os::SpawnedProcess process_;
  mutable std::mutex mutex_;  // between the loop's thread and the Worker's
  std::optional<ExitStatus> status_;
  LoopAttachment attachment_;
  std::thread::id loop_thread_;
  ExitHandler exit_handler_;
  bool ref_ = true;
  std::shared_ptr<Ward> next_released_;
};

}  // namespace portolan::port
