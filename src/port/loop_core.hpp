// SPDX-License-Identifier: Apache-2.0

// The loop behind an EventLoop, shared with whatever is attached to it, so that either may go first. It polls
// the sources that are awake, turn by turn; when all are dry it looks on for some microseconds, has them
// announce their sleep, does one barrier for all, looks once more, and waits in epoll. Only a source with an
// edge wakes up again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <portolan/event_loop.hpp>

#include "os/deadline_timer.hpp"
#include "os/epoll.hpp"
#include "os/event_counter.hpp"
#include "os/fork_watch.hpp"
#include "os/signal_watch.hpp"
#include "port/loop_source.hpp"
#include "port/reporting.hpp"
#include "port/source_table.hpp"
#include "port/task_queue.hpp"
#include "port/timers.hpp"

namespace portolan::port {

class LoopCore {
 public:
  using Task = Callback<void()>;

  static constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::size_t kMessagesOfOneSource =
      64;  // a turn; a port that floods must not starve the others

  LoopCore();
  LoopCore(const LoopCore&) = delete;
  LoopCore& operator=(const LoopCore&) = delete;
  ~LoopCore();

  /// The loop of this thread if it has one and that has not ended.
  [[nodiscard]] static LoopCore* of_this_thread() noexcept;
  static void set_of_this_thread(LoopCore* core) noexcept;

  // What EventLoop documents.
  void run_until(std::int64_t deadline_ns);
  bool run_one();
  std::size_t poll();
  void stop() noexcept { tasks_.stop(); }
  void post(Task task) { tasks_.post(std::move(task)); }
  TimerId set_timer(std::int64_t delay_ns, std::int64_t period_ns, Task task);
  void clear(TimerId timer) noexcept;
  void watch_signal(int signal, Callback<void(int)> handler);
  void set_busy_poll(std::int64_t longest_ns);
  int native_handle();
  [[nodiscard]] const std::shared_ptr<ExceptionReporter>& exceptions() const noexcept { return exceptions_; }

  /// Serves the source from the next turn on. Throws PortError (no descriptors). In a loop that has ended:
  /// nothing.
  SourceId attach(LoopSource& source);
  /// Not served any more, from now on. Before its descriptor is closed or sent away. Also after the loop has
  /// ended, and in a forked child, from any thread.
  void detach(SourceId id) noexcept;
  /// Looks at the descriptors before the next turn: this one was long.
  void look_next() noexcept;
  /// Serves it in the next turn, without an edge of its descriptor.
  void wake(SourceId id) noexcept;

  [[nodiscard]] bool ended() const noexcept { return tasks_.ended(); }

  /// What run() waits for although no source shows it: a request, a child process.
  void hold() noexcept;
  void release() noexcept;

  /// Drops everything, for good.
  void end() noexcept;
  /// Whether a fork lies between its making and now: then it is the parent's.
  [[nodiscard]] bool inherited() const noexcept { return os::forked_since(birth_); }
  /// Gives up the descriptors that a forked child has got with it.
  void disown() noexcept { sleeper_.reset(); }

  /// In debug builds: throws InvalidStateError on another thread than the loop's.
  void check_thread(const char* call) const;

 private:
  // What sleeping takes; made at the first need, since a loop of mere tasks may never sleep.
  struct Sleeper {
    os::Epoll epoll;
    os::EventCounter bell;
    std::optional<os::DeadlineTimer> timer;  // only for a loop of somebody else's
    Sleeper();
  };
  struct SignalHandler {
    os::SignalWatch watch;
    std::shared_ptr<Callback<void(int)>> call;  // shared with a call of it, which may set another
    SignalHandler(int signal, Callback<void(int)> handler)
        : watch(signal), call(std::make_shared<Callback<void(int)>>(std::move(handler))) {}
  };
  class Running;

  // Tags of the epoll set; ids of sources have their generation above them.
  static constexpr std::uint64_t kBellTag = 0;
  static constexpr std::uint64_t kTimerTag = 1;
  static constexpr std::uint64_t kSignalTags = 1000;  // plus the signal's number
  static constexpr std::uint64_t kSourceTags = std::uint64_t{1} << 32U;

  Sleeper& sleeper();
  void watch(int descriptor, std::uint32_t events, std::uint64_t tag, const char* call);
  std::size_t turn(std::size_t most);
  std::size_t run_tasks(std::size_t most);
  std::size_t run_timers(std::size_t most);
  std::size_t serve_sources(std::size_t most);
  [[nodiscard]] bool can_go_on() noexcept;

  void idle(std::int64_t deadline_ns);
  bool spin(std::int64_t began_ns, std::int64_t deadline_ns);
  void sleep(std::int64_t began_ns, std::int64_t deadline_ns);
  void adapt_spin(bool worth_it) noexcept;
  [[nodiscard]] bool arm() noexcept;
  bool gather(std::int64_t timeout_ns);
  void take_signal(int signal);
  void arm_for_foreign_loop() noexcept;
  void disturb_foreign_loop() noexcept;

  const std::thread::id thread_ = std::this_thread::get_id();
  const std::uint32_t birth_ = os::fork_generation();
  const std::shared_ptr<ExceptionReporter> exceptions_ = std::make_shared<ExceptionReporter>();
  TaskQueue tasks_;
  std::deque<Task> taken_;  // this loop's turn of them, out of the queue
  Timers timers_;
  SourceTable sources_;
  std::map<int, std::unique_ptr<SignalHandler>> signals_;
  std::optional<Sleeper> sleeper_;
  std::size_t holds_ = 0;
  std::size_t first_source_ = 0;  // where the next turn begins
  unsigned first_kind_ = 0;       // of tasks, timers and sources: where the next run_one begins
  unsigned turns_ = 0;
  std::int64_t spin_ns_;
  bool spin_is_set_ = false;       // by the user: it does not adapt
  std::int64_t next_look_ns_ = 0;  // at all sleepers
  bool sleeps_bounded_ = false;    // the barrier is refused: short sleeps
  bool running_ = false;
  bool foreign_ = false;  // native_handle() was asked for
};

}  // namespace portolan::port
