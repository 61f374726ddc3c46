// SPDX-License-Identifier: Apache-2.0

// One sender, many receivers, of which none may hold up the others longer than was agreed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include <portolan/callback.hpp>
#include <portolan/event_loop.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// What becomes of a value for a subscriber that has as much unread as it may.
enum class SlowPolicy : std::uint8_t {
  wait,         ///< publish() waits for it, for `patience`; then the value is dropped for it
  drop_oldest,  ///< held back here; when as many are held back, the oldest of them goes
  drop_newest,  ///< dropped for it
  disconnect,   ///< its port is closed
};

struct SubscriberOptions {
  SlowPolicy policy = SlowPolicy::drop_oldest;
  std::uint64_t most_unread = 64;  ///< messages; and as many may be held back
  std::chrono::nanoseconds patience = std::chrono::seconds(1);
};

struct SubscriberCounters {
  std::uint64_t posted = 0;
  std::uint64_t dropped = 0;
  std::uint64_t waited = 0;  ///< calls of publish() that waited for it
};

enum class SubscriberId : std::uint64_t { none = 0 };

/// Posts each value to every subscriber. A BufferView costs each of them a descriptor and no copy. T is
/// copyable, and posted as an lvalue. Belongs to one thread; what is held back goes out with the next
/// publish(), with flush(), or by that thread's loop, which it keeps going.
template <class T>
class Publisher {
 public:
  Publisher() = default;
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher() { EventLoop::current().clear(timer_); }

  SubscriberId add(MessagePort port, SubscriberOptions options = {}) {
    subscribers_.push_back({SubscriberId{++last_id_}, std::move(port), options, {}, {}});
    return subscribers_.back().id;
  }
  /// The subscriber's port, to hear what it posts and when it closes; null for one that is gone. What is
  /// posted on it by hand counts as unread, too.
  [[nodiscard]] MessagePort* port(SubscriberId id) noexcept {
    for (Subscriber& each : subscribers_)
      if (each.id == id) return &each.port;
    return nullptr;
  }
  /// Calls `handler`, F(SubscriberId), at the end of a publish() that has found a subscriber closed or has
  /// disconnected it: its port is gone by then.
  template <class F>
  void on_disconnect(F handler) {
    on_disconnect_ = std::move(handler);
  }
  /// Closes its port.
  void remove(SubscriberId id) noexcept {
    subscribers_.remove_if([id](const Subscriber& each) { return each.id == id; });
  }
  /// Those whose port is open.
  [[nodiscard]] std::size_t size() const noexcept { return subscribers_.size(); }
  /// Of those that were closed or disconnected since.
  [[nodiscard]] std::uint64_t disconnected() const noexcept { return disconnected_; }
  /// Zeros for one that is gone.
  [[nodiscard]] SubscriberCounters counters(SubscriberId id) const noexcept {
    for (const Subscriber& each : subscribers_)
      if (each.id == id) return each.counters;
    return {};
  }

  void publish(const T& value) {
    std::vector<SubscriberId> gone;
    subscribers_.remove_if([&](Subscriber& each) {
      if (give(each, value)) return false;
      gone.push_back(each.id);
      return true;
    });
    disconnected_ += gone.size();
    come_back();
    if (!on_disconnect_) return;
    for (const SubscriberId id : gone) on_disconnect_(id);
  }
  /// Sends what is held back and has room now. Returns how much is still held back.
  std::size_t flush() {
    std::size_t held = 0;
    for (Subscriber& each : subscribers_) held += send_held(each);
    return held;
  }

 private:
  struct Subscriber {
    SubscriberId id;
    MessagePort port;
    SubscriberOptions options;
    SubscriberCounters counters;
    std::deque<T> held;
  };

  static bool post(Subscriber& to, const T& value) {
    if (to.port.buffered_amount().messages >= to.options.most_unread) return false;
    if (to.port.try_post_message(value) == PostResult::full) return false;
    ++to.counters.posted;
    return true;
  }
  static std::size_t send_held(Subscriber& to) {
    while (!to.held.empty() && post(to, to.held.front())) to.held.pop_front();
    return to.held.size();
  }
  // False: it is to go.
  static bool give(Subscriber& to, const T& value) {
    if (!to.port.is_open()) return false;
    if (send_held(to) == 0 && post(to, value)) return true;
    switch (to.options.policy) {
      case SlowPolicy::disconnect:
        return false;
      case SlowPolicy::drop_newest:
        ++to.counters.dropped;
        return true;
      case SlowPolicy::drop_oldest:
        to.held.push_back(value);
        if (to.held.size() <= to.options.most_unread) return true;
        to.held.pop_front();
        ++to.counters.dropped;
        return true;
      case SlowPolicy::wait:
        break;
    }
    ++to.counters.waited;
    const auto until = std::chrono::steady_clock::now() + to.options.patience;
    while (to.port.is_open()) {
      const auto left = until - std::chrono::steady_clock::now();
      if (left.count() <= 0) break;
      static_cast<void>(to.port.drained().wait_for(std::min<std::chrono::nanoseconds>(left, kLook)));
      if (post(to, value)) return true;
    }
    ++to.counters.dropped;
    return to.port.is_open();
  }
  void come_back() {
    if (timer_ != TimerId::none || flush() == 0) return;
    timer_ = EventLoop::current().set_timeout(kLook, [this] {
      timer_ = TimerId::none;
      come_back();
    });
  }

  static constexpr std::chrono::milliseconds kLook{1};

  std::list<Subscriber> subscribers_;
  Callback<void(SubscriberId)> on_disconnect_;
  std::uint64_t last_id_ = 0;
  std::uint64_t disconnected_ = 0;
  TimerId timer_ = TimerId::none;
};

}  // namespace v1
}  // namespace portolan
