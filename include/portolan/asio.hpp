// SPDX-License-Identifier: Apache-2.0

// Ports in Boost.Asio, for any completion token; not part of <portolan/portolan.hpp>. Boost 1.74 and later.
#pragma once

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/version.hpp>
#if BOOST_VERSION >= 107700
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#endif

#include <array>
#include <list>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <portolan/asio_connect.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

namespace asio {

// An operation under way: its handler, and the executor that is kept busy for it.
class Operation {
 public:
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;
  // Tries once. True: it is over, and its handler is on its way. `cancelled`: it has to be over.
  virtual bool step(bool cancelled) = 0;
  std::optional<std::list<std::shared_ptr<Operation>>::iterator> place;  // while it waits
};

// The port in the reactor: its descriptor is waited for as long as an operation is under way.
class PortService : public std::enable_shared_from_this<PortService> {
 public:
  PortService(const Executor& executor, MessagePort port)
      : port_(std::move(port)), descriptor_(executor, port_.native_handle()) {}
  PortService(const PortService&) = delete;
  PortService& operator=(const PortService&) = delete;
  ~PortService() { descriptor_.release(); }  // it is the port's

  MessagePort& port() noexcept { return port_; }
  Executor executor() { return descriptor_.get_executor(); }

  void start(const std::shared_ptr<Operation>& operation) {
    if (operation->step(false)) return;
    operation->place = operations_.insert(operations_.end(), operation);
    wait();
  }
  // Something may have changed for it: from within dispatch(), or a cancellation.
  void step(const std::shared_ptr<Operation>& operation, bool cancelled = false) {
    if (!operation->place || !operation->step(cancelled)) return;
    operations_.erase(*std::exchange(operation->place, std::nullopt));
  }
  void cancel() {
    const auto all = operations_;
    for (const std::shared_ptr<Operation>& operation : all) step(operation, true);
    descriptor_.cancel();
  }

 private:
  void wait() {
    if (std::exchange(waiting_, true)) return;
    descriptor_.async_wait(descriptor_.wait_read, [self = shared_from_this()](const Error& error) {
      self->waiting_ = false;
      if (!error) self->port_.dispatch();
      // A close of this end wakes the descriptor, and is told to no listener.
      if (!self->port_.is_open())
        for (const std::shared_ptr<Operation>& each : std::list(self->operations_)) self->step(each);
      if (!self->operations_.empty()) self->wait();
    });
  }

  MessagePort port_;
  boost::asio::posix::stream_descriptor descriptor_;
  std::list<std::shared_ptr<Operation>> operations_;
  bool waiting_ = false;
};

// `attempt` is called until it gives what the handler is to be called with; it gets whether it was cancelled.
template <class Handler, class Attempt>
class HandledOperation final : public Operation,
                               public std::enable_shared_from_this<HandledOperation<Handler, Attempt>> {
 public:
  HandledOperation(std::shared_ptr<PortService> service, Handler handler, Attempt attempt)
      : work_(boost::asio::get_associated_executor(handler, service->executor())),
        service_(std::move(service)),
        handler_(std::move(handler)),
        attempt_(std::move(attempt)) {}

  bool step(bool cancelled) override {
    const std::weak_ptr<HandledOperation> weak = this->weak_from_this();
    auto outcome = attempt_(cancelled, [weak] {
      if (const auto self = weak.lock()) self->service_->step(self);
    });
    if (!outcome) return false;
#if BOOST_VERSION >= 107700
    // Not from within: the slot's function is running then, and finds nobody afterwards.
    if (auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        slot.is_connected() && !given_up_)
      slot.clear();
#endif
    using Outcome = std::remove_reference_t<decltype(*outcome)>;
    complete(std::move(*outcome), static_cast<Outcome*>(nullptr));
    return true;
  }
  void give_up() {
    given_up_ = true;
    service_->step(this->shared_from_this(), true);
  }

 private:
  template <class... Arguments>
  void complete(std::tuple<Arguments...> arguments, std::tuple<Arguments...>*) {
    boost::asio::post(work_.get_executor(),
                      Completion<Handler, Arguments...>{std::move(handler_), std::move(arguments)});
    work_.reset();
  }

  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler, Executor>> work_;
  std::shared_ptr<PortService> service_;
  Handler handler_;
  Attempt attempt_;
  bool given_up_ = false;
};

template <class Handler, class Attempt>
void start(const std::shared_ptr<PortService>& service, Handler handler, Attempt attempt) {
  using Op = HandledOperation<Handler, Attempt>;
  const auto memory = boost::asio::get_associated_allocator(handler);
#if BOOST_VERSION >= 107700
  auto slot = boost::asio::get_associated_cancellation_slot(handler);
#endif
  auto operation = std::allocate_shared<Op>(memory, service, std::move(handler), std::move(attempt));
#if BOOST_VERSION >= 107700
  if (slot.is_connected())
    slot.assign([weak = std::weak_ptr<Op>(operation)](boost::asio::cancellation_type) {
      if (const auto self = weak.lock()) self->give_up();
    });
#endif
  service->start(operation);
}

}  // namespace asio

/// A port with asynchronous operations. Belongs to its executor: everything is called from it, which is that
/// of one thread or a strand. Handlers are called through their associated executor (or else the port's),
/// with their associated allocator, never from within the call that starts the operation. One receive at a
/// time, one post at a time, any number of requests.
///
/// Cancelling: an operation ends with operation_aborted, and nothing is lost, received or posted by it, by
/// cancel() and destruction, and from Boost 1.77 on through the handler's cancellation slot; Debian 12's 1.74
/// has none.
class AsioPort {
 public:
  /// Takes the port into the reactor of `executor`. Throws PortError.
  AsioPort(const boost::asio::any_io_executor& executor, MessagePort port)
      : service_(std::make_shared<asio::PortService>(executor, std::move(port))) {}
  template <class Context>
  requires std::is_convertible_v<Context&, boost::asio::execution_context&> AsioPort(Context& context,
                                                                                     MessagePort port)
      : AsioPort(context.get_executor(), std::move(port)) {}
  AsioPort(AsioPort&&) noexcept = default;
  AsioPort& operator=(AsioPort&& other) noexcept {
    if (this != &other) {
      cancel();
      service_ = std::move(other.service_);
    }
    return *this;
  }
  ~AsioPort() { cancel(); }

  /// For everything that is not asynchronous; do not enable its queue.
  [[nodiscard]] MessagePort& port() noexcept { return service_->port(); }
  [[nodiscard]] boost::asio::any_io_executor get_executor() { return service_->executor(); }
  void cancel() {
    if (service_) service_->cancel();
  }

  /// void(error_code, Received): the next message; eof when the channel has ended and everything was read.
  template <class Token>
  auto async_receive(Token&& token) {
    return boost::asio::async_initiate<Token, void(asio::Error, Received)>(
        [](auto handler, std::shared_ptr<asio::PortService> service) {
          asio::start(service, std::move(handler), Receive{service->port()});
        },
        token, service_);
  }

  /// void(error_code): posts `value`, when there is room; broken_pipe if an end is closed. What the list
  /// names must live until then. Throws DataCloneError, at once or out of the executor's run().
  template <class T, class Token>
  auto async_post(T value, PostOptions options, Token&& token) {
    return boost::asio::async_initiate<Token, void(asio::Error)>(
        [](auto handler, std::shared_ptr<asio::PortService> service, T posted, PostOptions list) {
          MessagePort& port = service->port();
          asio::start(service, std::move(handler), Post<T>(port, std::move(posted), std::move(list)));
        },
        token, service_, std::move(value), std::move(options));
  }
  template <class T, class Token>
  auto async_post(T value, Token&& token) {
    return async_post(std::move(value), PostOptions{}, std::forward<Token>(token));
  }

  /// void(error_code, Received): the reply; timed_out, connection_reset or not_connected as RequestError, and
  /// no_buffer_space if there is no room for the request.
  template <class T, class Token>
  auto async_request(T value, RequestOptions options, Token&& token) {
    return boost::asio::async_initiate<Token, void(asio::Error, Received)>(
        [](auto handler, std::shared_ptr<asio::PortService> service, T asked, RequestOptions how) {
          std::optional<Reply> reply;
          try {
            reply.emplace(service->port().request(std::move(asked), std::move(how)));
          } catch (const QueueFullError&) {  // told to the handler
          }
          asio::start(service, std::move(handler), Request{std::move(reply)});
        },
        token, service_, std::move(value), std::move(options));
  }
  template <class T, class Token>
  auto async_request(T value, Token&& token) {
    return async_request(std::move(value), RequestOptions{}, std::forward<Token>(token));
  }

 private:
  using Got = std::tuple<asio::Error, Received>;

  struct Receive {
    MessagePort& port;

    template <class Again>
    std::optional<Got> operator()(bool cancelled, Again again) {
      if (cancelled) {
        port.when_readable({});
        return Got(boost::asio::error::operation_aborted, Received());
      }
      Received received = port.try_receive();
      if (received) return Got(asio::Error(), std::move(received));
      if (received.status() == ReceiveStatus::closed) return Got(boost::asio::error::eof, Received());
      port.when_readable(std::move(again));
      return std::nullopt;
    }
  };

  template <class T>
  class Post {
   public:
    Post(MessagePort& port, T value, PostOptions options)
        : port_(port), value_(std::move(value)), options_(std::move(options)) {}

    template <class Again>
    std::optional<std::tuple<asio::Error>> operator()(bool cancelled, Again again) {
      for (ListenerId& listener : listeners_) port_.remove_event_listener(std::exchange(listener, {}));
      if (cancelled) return std::tuple<asio::Error>(boost::asio::error::operation_aborted);
      const PostResult result = port_.try_post_message(std::move(value_), options_);
      if (result == PostResult::posted) return std::tuple(asio::Error());
      if (result != PostResult::full) return std::tuple<asio::Error>(boost::asio::error::broken_pipe);
      listeners_ = {port_.add_event_listener("drain", again), port_.add_event_listener("close", again)};
      return std::nullopt;
    }

   private:
    MessagePort& port_;
    T value_;
    PostOptions options_;
    std::array<ListenerId, 2> listeners_{};
  };

  struct Request {
    std::optional<Reply> reply;
    bool waits = false;

    template <class Again>
    std::optional<Got> operator()(bool cancelled, Again again) {
      if (!reply) return Got(boost::asio::error::no_buffer_space, Received());
      if (cancelled) {
        reply->cancel();
        return Got(boost::asio::error::operation_aborted, Received());
      }
      if (reply->status() == ReplyStatus::pending) {
        if (!std::exchange(waits, true)) reply->when_settled(std::move(again));
        return std::nullopt;
      }
      try {
        return Got(asio::Error(), Received(reply->get()));
      } catch (const RequestError& error) {
        return Got(asio::Error(error.code().value(), boost::system::system_category()), Received());
      }
    }
  };

  std::shared_ptr<asio::PortService> service_;
};

}  // namespace v1
}  // namespace portolan
