// SPDX-License-Identifier: Apache-2.0

#include "os/signal_watch.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <mutex>
#include <string>

#include <portolan/error.hpp>

#include "os/fork_watch.hpp"
#include "os/refusal.hpp"

namespace portolan::os {

namespace {

constexpr std::size_t kSignalCount = 65;  // _NSIG: numbers 1 to 64

struct Watched {
  std::atomic<EventCounter*> counter{nullptr};  // stays when the watch is over
  bool active = false;
  struct sigaction former = {};
};

std::mutex watch_mutex;  // active and former, and the system call that goes with them
std::array<Watched, kSignalCount> all_watched;

extern "C" void count_signal(int signal) {
  const int saved_errno = errno;
  // [K6] acquire; pairs with [K7]: the counter is made before its pointer is seen.
  EventCounter* const counter =
      all_watched[static_cast<std::size_t>(signal)].counter.load(std::memory_order_acquire);
  if (counter != nullptr) counter->signal();
  errno = saved_errno;
}

// The child shares the counters with its parent until it forgets them, and must not count there.
void forget_in_child() {
  for (std::size_t signal = 1; signal < kSignalCount; ++signal) {
    Watched& watched = all_watched[signal];
    if (watched.active) ::sigaction(static_cast<int>(signal), &watched.former, nullptr);
    watched.active = false;
    // [K8] relaxed: a forked child has one thread, and the handler is not installed any more.
    watched.counter.store(nullptr, std::memory_order_relaxed);
  }
  watch_mutex.unlock();
}

void register_fork_handlers() {
  static const bool is_registered = [] {
    on_fork([] { watch_mutex.lock(); }, [] { watch_mutex.unlock(); }, forget_in_child);
    return true;
  }();
  static_cast<void>(is_registered);
}

}  // namespace

SignalWatch::SignalWatch(int signal) : signal_(signal) {
  const std::string name = "signal " + std::to_string(signal);
  if (signal < 1 || signal >= static_cast<int>(kSignalCount)) {
    throw_refusal(std::make_error_code(std::errc::invalid_argument), "on_signal", name,
                  "there is no such signal");
  }
  register_fork_handlers();
  const std::lock_guard lock(watch_mutex);
  Watched& watched = all_watched[static_cast<std::size_t>(signal)];
  if (watched.active) {
    throw InvalidStateError("on_signal(" + name + "): another loop of this process watches it already");
  }
  // [K9] relaxed: written under this lock only.
  counter_ = watched.counter.load(std::memory_order_relaxed);
  if (counter_ == nullptr) counter_ = new EventCounter;
  counter_->drain();
  // [K7] release; pairs with [K6]: the counter is made before its pointer is seen.
  watched.counter.store(counter_, std::memory_order_release);

  struct sigaction action = {};
  action.sa_handler = count_signal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (::sigaction(signal, &action, &watched.former) != 0) {
    throw_refusal(last_error(), "on_signal", name, "it cannot be caught");
  }
  watched.active = true;
}

SignalWatch::~SignalWatch() {
  const std::lock_guard lock(watch_mutex);
  Watched& watched = all_watched[static_cast<std::size_t>(signal_)];
  // [K9] relaxed: written under this lock only. In a child of the process that made it there is nothing to
  // undo.
  const bool ours = watched.counter.load(std::memory_order_relaxed) == counter_;
  if (!ours || !watched.active) return;
  ::sigaction(signal_, &watched.former, nullptr);
  watched.active = false;
}

}  // namespace portolan::os
