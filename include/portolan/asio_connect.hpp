// SPDX-License-Identifier: Apache-2.0

// Connecting and accepting in Boost.Asio; part of <portolan/asio.hpp>.
#pragma once

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include <portolan/connect.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/listener.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

namespace asio {

using Error = boost::system::error_code;
using Executor = boost::asio::any_io_executor;

// What a handler is called with, in its own executor and with its own memory.
template <class Handler, class... Arguments>
struct Completion {
  Handler handler;
  std::tuple<Arguments...> arguments;

  using allocator_type = boost::asio::associated_allocator_t<Handler>;
  allocator_type get_allocator() const noexcept { return boost::asio::get_associated_allocator(handler); }
  void operator()() { std::apply(std::move(handler), std::move(arguments)); }
};

// A port that comes some time, told by a descriptor; `look` gives it, or throws PortError.
template <class Handler, class Look>
class ComingPort : public std::enable_shared_from_this<ComingPort<Handler, Look>> {
 public:
  // The reactor gets a duplicate, so that whose it is may close it at any time.
  ComingPort(const Executor& executor, int descriptor, Handler handler, Look look)
      : work_(boost::asio::get_associated_executor(handler, executor)),
        descriptor_(executor, FileDescriptor::duplicate_of(descriptor).release()),
        handler_(std::move(handler)),
        look_(std::move(look)) {}

  void step() {
    try {
      if (std::optional<MessagePort> port = look_()) return complete({}, std::move(*port));
    } catch (const PortError& error) {
      return complete({error.code().value(), boost::system::system_category()}, {});
    }
    descriptor_.async_wait(descriptor_.wait_read, [self = this->shared_from_this()](const Error& error) {
      error ? self->complete(error, {}) : self->step();
    });
  }

 private:
  void complete(Error error, MessagePort port) {
    boost::asio::post(work_.get_executor(),
                      Completion<Handler, Error, MessagePort>{std::move(handler_), {error, std::move(port)}});
    work_.reset();
  }

  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler, Executor>> work_;
  boost::asio::posix::stream_descriptor descriptor_;
  Handler handler_;
  Look look_;
};

template <class Handler, class Look>
void await_port(const Executor& executor, int descriptor, Handler handler, Look look) {
  const auto memory = boost::asio::get_associated_allocator(handler);
  std::allocate_shared<ComingPort<Handler, Look>>(memory, executor, descriptor, std::move(handler),
                                                  std::move(look))
      ->step();
}

}  // namespace asio

/// void(error_code, MessagePort): what connect() gives, without blocking. Throws PortError at once for an
/// address that is none. Ends by its deadline.
template <class Token>
auto async_connect(const boost::asio::any_io_executor& executor, std::string address, ConnectOptions options,
                   Token&& token) {
  return boost::asio::async_initiate<Token, void(asio::Error, MessagePort)>(
      [](auto handler, const asio::Executor& in, const std::string& to, ConnectOptions how) {
        auto attempt = std::make_shared<ConnectAttempt>(to, std::move(how));
        const int descriptor = attempt->native_handle();
        asio::await_port(in, descriptor, std::move(handler),
                         [attempt = std::move(attempt)] { return attempt->poll(); });
      },
      token, executor, std::move(address), std::move(options));
}
template <class Token>
auto async_connect(const boost::asio::any_io_executor& executor, std::string address, Token&& token) {
  return async_connect(executor, std::move(address), ConnectOptions{}, std::forward<Token>(token));
}

/// void(error_code, MessagePort): the next one who connects. `listener` must live until then, and has no
/// on_connect(). One at a time; ends with somebody who connects, or with the executor.
template <class Token>
auto async_accept(const boost::asio::any_io_executor& executor, Listener& listener, Token&& token) {
  return boost::asio::async_initiate<Token, void(asio::Error, MessagePort)>(
      [](auto handler, const asio::Executor& in, Listener* at) {
        asio::await_port(in, at->native_handle(), std::move(handler), [at]() -> std::optional<MessagePort> {
          std::optional<ConnectEvent> event = at->try_accept();
          if (!event) return std::nullopt;
          return std::move(event->port());
        });
      },
      token, executor, &listener);
}

}  // namespace v1
}  // namespace portolan
