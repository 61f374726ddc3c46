// SPDX-License-Identifier: Apache-2.0

// What comes back for a request: one message, or the reason why there is none.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/error.hpp>
#include <portolan/export.hpp>
#include <portolan/message_event.hpp>
#include <portolan/transfer_list.hpp>

namespace portolan {

namespace port {
class PendingReply;
}

inline namespace v1 {

enum class ReplyStatus : std::uint8_t {
  pending,    ///< neither a reply nor a reason to stop waiting
  answered,   ///< the reply is there, or was taken
  timed_out,  ///< none came in time; one that comes later is dropped and counted
  refused,    ///< the other side will not answer it, and says why: RequestError::what()
  closed,     ///< an end of the channel is closed, or the peer's process ended
  detached,   ///< the port was moved away; the reply goes to its new owner, and is dropped there
};

struct RequestOptions {
  TransferList transfer = {};                                          ///< goes along, as with post_message
  std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max();  ///< from the request on
};

/// No reply came: its code() is timed_out, bad_message (refused), connection_reset (closed) or not_connected
/// (detached).
class PORTOLAN_API RequestError : public PortError {
 public:
  RequestError(ReplyStatus status, const std::string& message);
  ~RequestError() override;

  [[nodiscard]] ReplyStatus status() const noexcept { return status_; }

 private:
  ReplyStatus status_;
};

/// Of MessagePort::request(). Move-only; take it once: with get(), on_reply() or co_await.
///
/// Threads: that which receives on the port, which is the loop's if it is bound. A Reply that is destroyed
/// before it was taken gives the request up: its reply will be late. Late replies are dropped, with the ports
/// in them, and counted in ChannelInfo. Death: if the peer closes or dies, requests that it has not answered
/// are closed once everything it has posted was looked at.
class PORTOLAN_API Reply {
 public:
  /// As of a request on a detached port.
  Reply() noexcept;
  Reply(Reply&& other) noexcept;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  /// Whether it has come, as far as somebody has looked: a loop, or a receive on the port.
  [[nodiscard]] ReplyStatus status() const noexcept;

  /// Waits for the reply. Other messages that come meanwhile stay unread and in their order; a reply that
  /// lies behind them is copied out. Throws RequestError if there will be none, and PortError if the kernel
  /// has no descriptors or memory for it: then it may be asked again. InvalidStateError if it was taken
  /// before.
  [[nodiscard]] MessageEvent get();

  /// Has this thread's loop, or the one that the port is bound to, call `handler` once with the reply: F(),
  /// F(MessageEvent&) or F(MessageEvent). Binds the port, and leaves its queue as it is. If there will be no
  /// reply, `on_error` is called with the RequestError; without one it goes to the loop's exception handler.
  template <class F>
  void on_reply(F handler) {
    when_settled([f = std::move(handler), state = state_]() mutable {
      MessageEvent event = take(state);
      call(f, event);
    });
  }
  template <class F, class G>
  requires std::invocable<G&, const RequestError&>
  void on_reply(F handler, G on_error) {
    when_settled([f = std::move(handler), g = std::move(on_error), state = state_]() mutable {
      std::optional<MessageEvent> event;
      try {
        event.emplace(take(state));
      } catch (const RequestError& error) {
        return static_cast<void>(std::invoke(g, error));
      }
      call(f, *event);
    });
  }
  /// The handler gets data<T>(). A reply that is no T is a DataCloneError, as for a listener that throws.
  template <class T, class F>
  requires std::invocable<F&, T>
  void on_reply(F handler) {
    on_reply([f = std::move(handler)](MessageEvent& event) mutable { std::invoke(f, event.data<T>()); });
  }

  /// `co_await` gives the MessageEvent, in the loop as for on_reply(), and throws what get() throws.
  class Awaiter;
  Awaiter operator co_await();

  /// Has the loop call `settled` once status() is no longer pending; what on_reply() and co_await are made
  /// of. Throws InvalidStateError if the reply was taken before, or another one is waiting.
  void when_settled(Callback<void()> settled);
  /// Gives the request up: whoever waits in a loop is told that it has timed out.
  void cancel() noexcept;

 private:
  friend class MessagePort;
  friend class port::PendingReply;
  using State = std::shared_ptr<port::PendingReply>;

  explicit Reply(State state) noexcept;
  void stop_waiting() noexcept;
  // Once it is settled: the event, or a throw.
  static MessageEvent take(const State& state);
  template <class F>
  static void call(F& handler, MessageEvent& event) {
    if constexpr (std::invocable<F&, MessageEvent&>)
      static_cast<void>(std::invoke(handler, event));
    else if constexpr (std::invocable<F&, MessageEvent>)
      static_cast<void>(std::invoke(handler, std::move(event)));
    else {
      static_assert(
          std::invocable<F&>,
          "a handler of replies takes nothing, a MessageEvent& or a MessageEvent; for what is in one "
          "say on_reply<T>()");
      static_cast<void>(std::invoke(handler));
    }
  }

  State state_;  // null: as of a detached port
};

/// May be destroyed while it waits, with its coroutine: then the request is given up.
class Reply::Awaiter {
 public:
  explicit Awaiter(Reply reply) noexcept : reply_(std::move(reply)) {}
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;
  ~Awaiter() { reply_.stop_waiting(); }
  [[nodiscard]] bool await_ready() const noexcept { return reply_.status() != ReplyStatus::pending; }
  void await_suspend(std::coroutine_handle<> waiting) {
    reply_.when_settled([waiting] { waiting.resume(); });
  }
  MessageEvent await_resume() { return take(reply_.state_); }

 private:
  Reply reply_;
};

inline Reply::Awaiter Reply::operator co_await() {
  return Awaiter(std::move(*this));
}

}  // namespace v1
}  // namespace portolan
