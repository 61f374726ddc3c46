// SPDX-License-Identifier: Apache-2.0

// Waiting until the peer has read what was posted up to a certain moment.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/export.hpp>

namespace portolan {

namespace port {
class Endpoint;
class PortState;
}  // namespace port

inline namespace v1 {

enum class DrainStatus : std::uint8_t {
  pending,  ///< not yet
  drained,  ///< all of it was read
  ended,    ///< the channel ended, or this port moved away, with some of it unread
};

/// Of MessagePort::drained(). Exact: it looks at the reader's own count, and no message travels for it. The
/// reader tells nobody either, so whoever waits looks again and again, less often the longer it takes, at
/// last once a millisecond. Belongs to the thread that posts on the port; may outlive it.
class PORTOLAN_API Drained {
 public:
  /// As of a detached port.
  Drained() noexcept = default;

  [[nodiscard]] DrainStatus status() noexcept;
  [[nodiscard]] bool done() noexcept { return status() != DrainStatus::pending; }

  /// Waits. False: ended, with some of it unread.
  bool get() { return wait_for(std::chrono::nanoseconds::max()) == DrainStatus::drained; }
  DrainStatus wait_for(std::chrono::nanoseconds patience);

  /// Has this thread's loop call `handler` once: F(), or F(bool) with what get() gives. Keeps run() going.
  template <class F>
  void on_drained(F handler) {
    when_done([f = std::move(handler), self = *this]() mutable {
      if constexpr (std::is_invocable_v<F&, bool>)
        f(self.status() == DrainStatus::drained);
      else
        f();
    });
  }
  /// What that and co_await are made of.
  void when_done(Callback<void()> call);

  /// `co_await` gives what get() gives.
  class Awaiter;
  Awaiter operator co_await() const;

 private:
  friend class MessagePort;
  Drained(std::shared_ptr<port::PortState> port, const port::Endpoint* over, std::uint64_t messages) noexcept
      : port_(std::move(port)), over_(over), messages_(messages) {}

  std::shared_ptr<port::PortState> port_;  // null: of a detached port
  const port::Endpoint* over_ = nullptr;   // its end then: a merge gives it another one
  std::uint64_t messages_ = 0;             // which have to be read, of all that this direction has carried
};

/// May be destroyed while it waits, with its coroutine.
class Drained::Awaiter {
 public:
  explicit Awaiter(Drained drained) noexcept : drained_(std::move(drained)) {}
  [[nodiscard]] bool await_ready() noexcept { return drained_.done(); }
  void await_suspend(std::coroutine_handle<> waiting) {
    alive_ = std::make_shared<std::coroutine_handle<>>(waiting);
    drained_.when_done([weak = std::weak_ptr(alive_)] {
      if (const auto alive = weak.lock()) alive->resume();
    });
  }
  bool await_resume() noexcept { return drained_.status() == DrainStatus::drained; }

 private:
  Drained drained_;
  std::shared_ptr<std::coroutine_handle<>> alive_;
};

inline Drained::Awaiter Drained::operator co_await() const {
  return Awaiter(*this);
}

}  // namespace v1
}  // namespace portolan
