// SPDX-License-Identifier: Apache-2.0

// Operations of an AsioPort that are given up one by one, by the cancellation slots that Boost has from 1.77
// on, and by the operators for awaitables that are made of them.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <portolan/asio.hpp>
#include <portolan/port.hpp>

using namespace portolan;
using boost::asio::bind_cancellation_slot;
using boost::asio::cancellation_signal;
using boost::asio::cancellation_type;
using boost::system::error_code;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::exit(1);
}

const error_code kAborted = boost::asio::error::operation_aborted;

void one_of_two_operations_is_given_up() {
  boost::asio::io_context context;
  MessageChannel channel;
  AsioPort port(context, std::move(channel.port1));
  cancellation_signal for_receive, for_request;
  std::optional<error_code> received, replied;
  port.async_receive(
      bind_cancellation_slot(for_receive.slot(), [&](error_code error, Received) { received = error; }));
  port.async_request(
      1, bind_cancellation_slot(for_request.slot(), [&](error_code error, Received) { replied = error; }));
  for_receive.emit(cancellation_type::total);
  require(!received, "no handler is called from within");
  channel.port2.receive()->reply(2);
  while (!received || !replied) context.run_one();
  require(received == kAborted, "the receive is given up");
  require(!*replied, "the request goes on");
  // Both are over, and their slots with them.
  for_receive.emit(cancellation_type::total);
  for_request.emit(cancellation_type::total);
  channel.port2.post_message("kept");
  context.restart();
  std::string text;
  port.async_receive(
      [&](error_code error, Received message) { text = error ? "" : std::string(message->text()); });
  while (text.empty()) context.run_one();
  require(text == "kept", "nothing is lost by it");
}

void a_post_that_waits_is_given_up() {
  boost::asio::io_context context;
  MessageChannel channel({.limit_bytes = 1 << 16});
  AsioPort port(context, std::move(channel.port1));
  const std::string large(10'000, 'x');
  while (port.port().try_post_message(large) == PostResult::posted) {
  }
  cancellation_signal signal;
  std::optional<error_code> posted;
  port.async_post(std::string(10'000, 'g'),
                  bind_cancellation_slot(signal.slot(), [&](error_code error) { posted = error; }));
  signal.emit(cancellation_type::terminal);
  while (!posted) context.run_one();
  require(posted == kAborted, "the post is given up");
  while (Received message = channel.port2.try_receive())
    require(message->text().front() == 'x', "and not posted");
}

void a_slot_keeps_no_port() {
  boost::asio::io_context context;
  MessageChannel channel;
  cancellation_signal signal;
  {
    AsioPort port(context, std::move(channel.port1));
    port.async_receive(bind_cancellation_slot(signal.slot(), [](error_code, Received) {}));
    signal.emit(cancellation_type::total);
  }
  context.run();
  require(channel.port2.receive().status() == ReceiveStatus::closed,
          "a slot that is still there keeps no port open");
}

boost::asio::awaitable<void> whichever_is_first(AsioPort& port, MessagePort& other, bool& timed_out,
                                                std::string& text) {
  using namespace boost::asio::experimental::awaitable_operators;
  using boost::asio::use_awaitable;
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1));
  const auto first = co_await (port.async_receive(use_awaitable) || timer.async_wait(use_awaitable));
  timed_out = first.index() == 1;
  timer.expires_after(std::chrono::hours(1));
  other.post_message("first");
  auto second = co_await (port.async_receive(use_awaitable) || timer.async_wait(use_awaitable));
  if (second.index() == 0) text = std::get<0>(second)->text();
}

void awaitables_race() {
  boost::asio::io_context context;
  MessageChannel channel;
  AsioPort port(context, std::move(channel.port1));
  bool timed_out = false;
  std::string text;
  boost::asio::co_spawn(context, whichever_is_first(port, channel.port2, timed_out, text),
                        boost::asio::detached);
  context.run();
  require(timed_out, "a timer gives a receive up");
  require(text == "first", "a message gives a timer up");
}

}  // namespace

int main() {
  one_of_two_operations_is_given_up();
  a_post_that_waits_is_given_up();
  a_slot_keeps_no_port();
  awaitables_race();
  std::printf("operations are given up one by one with Boost %s\n", BOOST_LIB_VERSION);
}
