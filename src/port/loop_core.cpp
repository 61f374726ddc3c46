// SPDX-License-Identifier: Apache-2.0

#include "port/loop_core.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <portolan/error.hpp>

#include "os/pause.hpp"

namespace portolan::port {

namespace {

constexpr std::size_t kWholeTurn = std::numeric_limits<std::size_t>::max();
constexpr unsigned kTurnsPerLook =
    16;  // at descriptors while sources keep the loop busy: a look takes 0.3 us

thread_local LoopCore* this_threads_core = nullptr;

// Calls it; what it throws is reported, which within a turn always finds a taker.
template <class F>
void guarded(ExceptionReporter& exceptions, F&& call) {
  try {
    call();
  } catch (...) {
    static_cast<void>(exceptions.report(std::current_exception()));
  }
}

}  // namespace

// A call of run(), run_one() or poll(): its turns collect exceptions until end().
class LoopCore::Running {
 public:
  Running(LoopCore& core, const char* call) : core_(core) {
    core.check_thread(call);
    if (core.running_) {
      throw InvalidStateError(std::string("EventLoop::") + call +
                              "(): this loop is running already; it is not called from what it calls");
    }
    core.running_ = true;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    core_.running_ = false;
    if (core_.foreign_) core_.arm_for_foreign_loop();
  }

  std::size_t turn(std::size_t most) {
    core_.exceptions_->begin_turn();
    const std::size_t handled = core_.turn(most);
    if (const auto first = core_.exceptions_->end_turn()) std::rethrow_exception(first);
    return handled;
  }

 private:
  LoopCore& core_;
};

LoopCore* LoopCore::of_this_thread() noexcept {
  return this_threads_core;
}
void LoopCore::set_of_this_thread(LoopCore* core) noexcept {
  this_threads_core = core;
}

void LoopCore::run_until(std::int64_t deadline_ns) {
  Running running(*this, "run");
  while (!tasks_.take_stop()) {
    const std::size_t handled = running.turn(kWholeTurn);
    if (handled == 0 && !can_go_on()) return;
    if (deadline_ns != kForever && os::monotonic_ns() >= deadline_ns) return;
    if (handled == 0) idle(deadline_ns);
  }
}

bool LoopCore::run_one() {
  Running running(*this, "run_one");
  while (!tasks_.take_stop()) {
    if (running.turn(1) != 0) return true;
    if (!can_go_on()) return false;
    idle(kForever);
  }
  return false;
}

std::size_t LoopCore::poll() {
  Running running(*this, "poll");
  if (sleeper_) {
    tasks_.wake_up();
    gather(0);
  }
  return running.turn(kWholeTurn);
}

std::size_t LoopCore::turn(std::size_t most) {
  if (++turns_ % kTurnsPerLook == 0 && sleeper_) gather(0);
  if (most == kWholeTurn) first_kind_ = 0;
  std::size_t handled = 0;
  for (unsigned kind = first_kind_; kind < first_kind_ + 3; ++kind) {
    const std::size_t left = most - handled;
    switch (kind % 3) {
      case 0:
        handled += run_tasks(left);
        break;
      case 1:
        handled += run_timers(left);
        break;
      default:
        handled += serve_sources(left);
    }
    if (handled >= most) {
      first_kind_ = (kind + 1) % 3;
      break;
    }
  }
  return handled;
}

std::size_t LoopCore::run_tasks(std::size_t most) {
  tasks_.take(taken_);
  const std::size_t count = std::min(most, taken_.size());
  for (std::size_t i = 0; i < count; ++i) {
    Task task = std::move(taken_.front());
    taken_.pop_front();
    guarded(*exceptions_, [&] {
      task();
      task = Task();  // what it owned goes within the guard
    });
  }
  return count;
}

std::size_t LoopCore::run_timers(std::size_t most) {
  if (timers_.empty()) return 0;
  const std::int64_t now_ns = os::monotonic_ns();
  const std::uint64_t mark = timers_.mark();
  std::size_t count = 0;
  while (count < most) {
    auto due = timers_.take_due(now_ns, mark);
    if (!due) break;
    ++count;
    guarded(*exceptions_, [&] { due->task(); });
    timers_.give_back(std::move(*due));
  }
  return count;
}

std::size_t LoopCore::serve_sources(std::size_t most) {
  if (sources_.awake().size() > 2 * sources_.size()) sources_.forget_removed();
  const std::size_t count = sources_.awake().size();
  const std::size_t first = count == 0 ? 0 : first_source_ % count;
  std::size_t handled = 0;
  for (std::size_t i = 0; i < count && handled < most; ++i) {
    // What is served may attach and detach sources, itself too: the list may only have grown.
    LoopSource* const source = sources_.find(sources_.awake()[(first + i) % count]);
    if (source == nullptr) continue;
    first_source_ = first + i + 1;
    guarded(*exceptions_, [&] { handled += source->serve(std::min(most - handled, kMessagesOfOneSource)); });
  }
  return handled;
}

bool LoopCore::can_go_on() noexcept {
  return holds_ != 0 || tasks_.attention() || !taken_.empty() || !timers_.empty() ||
         sources_.any_keeps_loop_alive();
}

TimerId LoopCore::set_timer(std::int64_t delay_ns, std::int64_t period_ns, Task task) {
  check_thread(period_ns == 0 ? "set_timeout" : "set_interval");
  if (tasks_.ended()) return TimerId::none;
  const std::int64_t now_ns = os::monotonic_ns();
  const std::int64_t wait_ns = std::clamp(delay_ns, std::int64_t{0}, kForever - now_ns);
  const TimerId id = timers_.set(now_ns + wait_ns, period_ns, std::move(task));
  disturb_foreign_loop();
  return id;
}

void LoopCore::clear(TimerId timer) noexcept {
  timers_.clear(timer);
}

void LoopCore::watch_signal(int signal, Callback<void(int)> handler) {
  check_thread("on_signal");
  if (tasks_.ended()) return;
  const auto found = signals_.find(signal);
  if (found != signals_.end()) {
    // The watch goes on; a call that is under way keeps the former handler.
    const auto former =
        std::exchange(found->second->call, std::make_shared<Callback<void(int)>>(std::move(handler)));
    return;
  }
  auto watched = std::make_unique<SignalHandler>(signal, std::move(handler));
  watch(watched->watch.descriptor(), os::kReadable, kSignalTags + static_cast<std::uint64_t>(signal),
        "on_signal");
  signals_.emplace(signal, std::move(watched));
}

void LoopCore::take_signal(int signal) {
  const auto found = signals_.find(signal);
  if (found == signals_.end() || !found->second->watch.drain()) return;
  taken_.emplace_back([call = found->second->call, signal] { (*call)(signal); });
}

SourceId LoopCore::attach(LoopSource& source) {
  check_thread("attach");
  if (tasks_.ended()) return SourceId::none;
  const int descriptor = source.descriptor();
  const SourceId id = sources_.add(source, descriptor);
  if (descriptor >= 0) {
    try {
      watch(descriptor, os::kReadable | os::kPeerShutDown | os::kEdgeTriggered,
            static_cast<std::uint64_t>(id), "attach");
    } catch (...) {
      sources_.remove(id);
      throw;
    }
  }
  disturb_foreign_loop();
  return id;
}

void LoopCore::detach(SourceId id) noexcept {
  if (inherited() || tasks_.ended()) return;
  const int descriptor = sources_.remove(id);
  if (descriptor >= 0 && sleeper_) sleeper_->epoll.remove(descriptor);
}

void LoopCore::wake(SourceId id) noexcept {
  if (tasks_.ended()) return;
  sources_.wake(id);
  disturb_foreign_loop();
}

void LoopCore::look_next() noexcept {
  turns_ = kTurnsPerLook - 1;
}

void LoopCore::hold() noexcept {
  if (!tasks_.ended()) ++holds_;
}

void LoopCore::release() noexcept {
  if (!tasks_.ended()) --holds_;
}

void LoopCore::end() noexcept {
  sources_.end();
  tasks_.end();
  sleeper_.reset();
  signals_.clear();
  taken_.clear();
  timers_ = Timers();
}

void LoopCore::check_thread([[maybe_unused]] const char* call) const {
#ifndef NDEBUG
  if (std::this_thread::get_id() == thread_ || tasks_.ended()) return;
  throw InvalidStateError(std::string("EventLoop::") + call +
                          "(): this loop belongs to another thread; use post()");
#endif
}

}  // namespace portolan::port
