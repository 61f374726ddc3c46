// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>
#include <vector>

#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/loop_access.hpp"
#include "port/loop_core.hpp"

namespace portolan {

namespace port {

namespace {

constinit thread_local bool thread_has_ended = false;

// Ends with the thread, whoever else still shares the core.
struct ThreadLoop {
  EventLoop loop = EventLoopAccess::make(std::make_shared<LoopCore>());

  ThreadLoop() { LoopCore::set_of_this_thread(EventLoopAccess::core(loop).get()); }
  ThreadLoop(const ThreadLoop&) = delete;
  ThreadLoop& operator=(const ThreadLoop&) = delete;
  ~ThreadLoop() {
    thread_has_ended = true;
    LoopCore::set_of_this_thread(nullptr);
    EventLoopAccess::core(loop)->end();
  }
};

// For destructors that run later than their thread's loop; never destroyed, as they may run at any time.
EventLoop& ended_loop() {
  static EventLoop& loop = []() -> EventLoop& {
    auto core = std::make_shared<LoopCore>();
    core->end();
    return *new EventLoop(EventLoopAccess::make(std::move(core)));
  }();
  return loop;
}

}  // namespace

const std::shared_ptr<LoopCore>& EventLoopAccess::core(EventLoop& loop) {
  if (loop.core_->inherited() && &loop != &ended_loop()) {
    // A forked child. What the parent's loop had to do is not done, and not destroyed either: destructors of
    // things that the parent still uses are none of the child's business.
    static auto& parents = *new std::vector<std::shared_ptr<LoopCore>>;
    const bool of_this_thread = LoopCore::of_this_thread() == loop.core_.get();
    loop.core_->disown();
    parents.push_back(std::exchange(loop.core_, std::make_shared<LoopCore>()));
    if (of_this_thread) LoopCore::set_of_this_thread(loop.core_.get());
  }
  return loop.core_;
}

}  // namespace port

inline namespace v1 {

using port::EventLoopAccess;
using port::LoopCore;

EventLoop& EventLoop::current() {
  if (port::thread_has_ended) return port::ended_loop();
  static thread_local port::ThreadLoop thread_loop;
  return thread_loop.loop;
}

EventLoop::EventLoop(std::shared_ptr<LoopCore> core) noexcept : core_(std::move(core)) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  EventLoopAccess::core(*this)->run_until(LoopCore::kForever);
}

void EventLoop::run_for(std::chrono::nanoseconds duration) {
  const std::int64_t now_ns = os::monotonic_ns();
  const std::int64_t for_ns = std::clamp<std::int64_t>(duration.count(), 0, LoopCore::kForever - 1 - now_ns);
  EventLoopAccess::core(*this)->run_until(now_ns + for_ns);
}

bool EventLoop::run_one() {
  return EventLoopAccess::core(*this)->run_one();
}

std::size_t EventLoop::poll() {
  return EventLoopAccess::core(*this)->poll();
}

void EventLoop::stop() noexcept {
  EventLoopAccess::core(*this)->stop();
}

void EventLoop::post(Callback<void()> task) {
  EventLoopAccess::core(*this)->post(std::move(task));
}

TimerId EventLoop::set_timeout(std::chrono::nanoseconds delay, Callback<void()> task) {
  return EventLoopAccess::core(*this)->set_timer(delay.count(), 0, std::move(task));
}

TimerId EventLoop::set_interval(std::chrono::nanoseconds period, Callback<void()> task) {
  const std::int64_t period_ns = std::max<std::int64_t>(period.count(), 1);
  return EventLoopAccess::core(*this)->set_timer(period_ns, period_ns, std::move(task));
}

void EventLoop::clear(TimerId timer) noexcept {
  EventLoopAccess::core(*this)->clear(timer);
}

void EventLoop::set_busy_poll(std::chrono::nanoseconds longest) {
  EventLoopAccess::core(*this)->set_busy_poll(std::max<std::int64_t>(longest.count(), 0));
}

int EventLoop::native_handle() {
  return EventLoopAccess::core(*this)->native_handle();
}

void EventLoop::set_exception_handler(Callback<void(std::exception_ptr)> handler) {
  EventLoopAccess::core(*this)->exceptions()->set_handler(std::move(handler));
}

void EventLoop::watch_signal(int signal, Callback<void(int)> handler) {
  EventLoopAccess::core(*this)->watch_signal(signal, std::move(handler));
}

}  // namespace v1
}  // namespace portolan
