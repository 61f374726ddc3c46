// SPDX-License-Identifier: Apache-2.0

// Ports in Boost.Asio's coroutines, beside a timer of Asio's own: messages, requests and posts that wait for
// room are awaited like any socket's.
// clang-format off: Boost 1.74's awaitable.hpp needs it first
#include <utility>
// clang-format on
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/asio.hpp>
#include <portolan/portolan.hpp>

using boost::asio::use_awaitable;

static void echo() {
  portolan::MessagePort port = portolan::parent_port();
  while (portolan::Received message = port.receive())
    message->is_request() ? message->reply(message->bytes()) : port.post_message(message->bytes().size());
}

static boost::asio::awaitable<void> talk(portolan::AsioPort& port, int& done) {
  portolan::Received reply = co_await port.async_request(std::string("are you there?"), use_awaitable);
  std::printf("reply: %s\n", std::string(reply->text()).c_str());

  boost::asio::steady_timer timer(port.get_executor(), std::chrono::milliseconds(5));
  co_await timer.async_wait(use_awaitable);

  std::size_t bytes = 0;
  for (int i = 0; i < 1000; ++i)  // more than the channel holds
    co_await port.async_post(std::vector<std::byte>(100'000), use_awaitable);
  for (int i = 0; i < 1000; ++i) {
    portolan::Received message = co_await port.async_receive(use_awaitable);
    bytes += message->data<std::size_t>();
  }
  std::printf("%zu bytes were seen\n", bytes);
  done += bytes == 100'000'000;
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--echo")) return echo(), 0;

  portolan::Worker worker("/proc/self/exe", {"--echo"});
  boost::asio::io_context context;
  portolan::AsioPort port(context, std::move(worker.port()));
  int done = 0;
  boost::asio::co_spawn(context, talk(port, done), boost::asio::detached);
  context.run();
  return done == 1 ? 0 : 1;
}
