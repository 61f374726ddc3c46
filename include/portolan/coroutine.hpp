// SPDX-License-Identifier: Apache-2.0

// Ports in C++20 coroutines on the library's own loop; not part of <portolan/portolan.hpp>. Everything here
// is awaited in the thread that receives on the port and runs its loop. `co_await port.request(...)` and
// `co_await port.drained()` need no header of their own.
//
// A coroutine may be destroyed while it waits: then the wait is given up, and no message is lost.
//
// g++ 12 drops the body of a coroutine that has co_await of any of these in the condition of an `if` or a
// `while` and no local variable of its own, without a word. Give the result a name:
// `while (Received message = co_await next_message(port))`.
#pragma once

#include <array>
#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <portolan/event_loop.hpp>
#include <portolan/message_port.hpp>
#include <portolan/task.hpp>

namespace portolan {
inline namespace v1 {

struct WaitOptions {
  std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max();
  std::stop_token stop = {};  // from any thread
};

namespace task {

// One wait of one coroutine, which ends once: by what it waits for, by the time, or by a stop. Callbacks that
// come later find it gone.
class Wait : public std::enable_shared_from_this<Wait> {
 public:
  enum class Ended { pending, done, timed_out, stopped };

  Wait(std::coroutine_handle<> waiting, const WaitOptions& options)
      : loop_(EventLoop::current()), waiting_(waiting), options_(options) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { loop_.clear(timer_); }

  void begin() {
    if (options_.timeout != std::chrono::nanoseconds::max())
      timer_ = loop_.set_timeout(options_.timeout, ending(Ended::timed_out));
    if (options_.stop.stop_possible()) stop_.emplace(options_.stop, Stop{this, weak_from_this()});
  }
  void end(Ended how) {
    if (ended_ != Ended::pending) return;
    ended_ = how;
    loop_.clear(timer_);
    waiting_.resume();
  }
  [[nodiscard]] Ended ended() const noexcept { return ended_; }
  Callback<void()> ending(Ended how) {
    return [weak = weak_from_this(), how] {
      if (const auto self = weak.lock()) self->end(how);
    };
  }

 private:
  struct Stop {
    Wait* wait;
    std::weak_ptr<Wait> weak;
    void operator()() const {
      wait->loop_.post([weak = weak] {
        if (const auto self = weak.lock()) self->end(Ended::stopped);
      });
    }
  };

  EventLoop& loop_;
  std::coroutine_handle<> waiting_;
  WaitOptions options_;
  Ended ended_ = Ended::pending;
  TimerId timer_ = TimerId::none;
  std::optional<std::stop_callback<Stop>> stop_;
};

class NextMessage {
 public:
  NextMessage(MessagePort& port, WaitOptions options) noexcept : port_(port), options_(std::move(options)) {}
  NextMessage(const NextMessage&) = delete;
  NextMessage& operator=(const NextMessage&) = delete;
  ~NextMessage() {
    if (wait_ && wait_->ended() == Wait::Ended::pending) port_.when_readable({});
  }

  [[nodiscard]] bool await_ready() {
    received_ = port_.try_receive();
    return received_.status() != ReceiveStatus::empty;
  }
  void await_suspend(std::coroutine_handle<> waiting) {
    wait_ = std::make_shared<Wait>(waiting, options_);
    look_later();
    wait_->begin();
  }
  Received await_resume() {
    if (!wait_ || wait_->ended() == Wait::Ended::done) return std::move(received_);
    port_.when_readable({});
    return Received(wait_->ended() == Wait::Ended::stopped ? ReceiveStatus::stopped
                                                           : ReceiveStatus::timed_out);
  }

 private:
  void look_later() {
    port_.when_readable([this, weak = std::weak_ptr(wait_)] {
      const std::shared_ptr<Wait> wait = weak.lock();
      if (!wait || wait->ended() != Wait::Ended::pending) return;
      received_ = port_.try_receive();
      if (received_.status() == ReceiveStatus::empty) return look_later();
      wait->end(Wait::Ended::done);
    });
  }

  MessagePort& port_;
  WaitOptions options_;
  Received received_;
  std::shared_ptr<Wait> wait_;
};

class Sleep {
 public:
  explicit Sleep(WaitOptions options) noexcept : options_(std::move(options)) {}
  [[nodiscard]] static bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    wait_ = std::make_shared<Wait>(waiting, options_);
    wait_->begin();
  }
  bool await_resume() const noexcept { return wait_->ended() == Wait::Ended::timed_out; }

 private:
  WaitOptions options_;
  std::shared_ptr<Wait> wait_;
};

// Until a post may find room, or finds the port closed.
class Room {
 public:
  Room(MessagePort& port, WaitOptions options) noexcept : port_(port), options_(std::move(options)) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() {
    for (const ListenerId listener : listeners_) port_.remove_event_listener(listener);
    EventLoop::current().clear(look_);
  }

  [[nodiscard]] static bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    constexpr std::chrono::milliseconds kLook{100};  // for a close() of one's own, which is told to nobody
    wait_ = std::make_shared<Wait>(waiting, options_);
    listeners_ = {port_.add_event_listener("drain", wait_->ending(Wait::Ended::done)),
                  port_.add_event_listener("close", wait_->ending(Wait::Ended::done))};
    port_.attach(EventLoop::current());
    look_ = EventLoop::current().set_interval(kLook, [&port = port_, weak = std::weak_ptr(wait_)] {
      const std::shared_ptr<Wait> wait = weak.lock();
      if (wait && !port.is_open()) wait->end(Wait::Ended::done);
    });
    wait_->begin();
  }
  Wait::Ended await_resume() const noexcept { return wait_->ended(); }

 private:
  MessagePort& port_;
  WaitOptions options_;
  std::shared_ptr<Wait> wait_;
  std::array<ListenerId, 2> listeners_{};
  TimerId look_ = TimerId::none;
};

}  // namespace task

/// `co_await next_message(port)` gives what port.receive() gives, in its order: a Received with a message, or
/// with timed_out, stopped or closed. The queue must not be enabled (InvalidStateError). `port` must live,
/// and stay where it is, until the wait has ended; one coroutine at a time.
[[nodiscard]] inline task::NextMessage next_message(MessagePort& port, WaitOptions options = {}) {
  return {port, std::move(options)};
}

/// `co_await sleep_for(...)` gives true, or false if it was stopped before.
[[nodiscard]] inline task::Sleep sleep_for(std::chrono::nanoseconds duration, std::stop_token stop = {}) {
  return task::Sleep({duration, std::move(stop)});
}

/// Posts `value` and waits for room if there is none: posted, closed, detached, or timed_out (also if it was
/// stopped), and then nothing was posted. `port` and what the list names must live until then.
template <class T>
Task<PostResult> post_when_room(MessagePort& port, T value, PostOptions post = {}, WaitOptions options = {}) {
  for (;;) {
    const PostResult result = port.try_post_message(std::move(value), post);
    if (result != PostResult::full) co_return result;
    if (co_await task::Room(port, options) != task::Wait::Ended::done) co_return PostResult::timed_out;
  }
}

}  // namespace v1
}  // namespace portolan
