// SPDX-License-Identifier: Apache-2.0

// Connecting and accepting in Boost.Asio, each in a process of its own.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <utility>

#include <portolan/asio.hpp>

#include "names/meeting_place.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;
using boost::system::error_code;

TEST_CASE("strangers meet in two reactors, whoever comes first") {
  const PortCensus census;
  MeetingPlace place;
  for (const bool listener_first : {true, false}) {
    std::optional<Listener> listener;
    if (listener_first) listener.emplace(place.address("here"));
    ChildProcess child = fork_with({}, [&](Ports&) {
      boost::asio::io_context context;
      std::string answer;
      std::optional<AsioPort> port;
      async_connect(
          context.get_executor(), place.address("here"), [&](error_code error, MessagePort connected) {
            if (error) return;
            port.emplace(context, std::move(connected));
            port->async_request("who is there?", [&](error_code, Received reply) { answer = reply->text(); });
          });
      context.run();
      return answer == "a listener" ? 0 : 1;
    });
    if (!listener_first) listener.emplace(place.address("here"));
    boost::asio::io_context context;
    std::optional<AsioPort> port;
    async_accept(context.get_executor(), *listener, [&](error_code error, MessagePort accepted) {
      REQUIRE_FALSE(error);
      port.emplace(context, std::move(accepted));
      port->async_receive([&](error_code, Received question) {
        CHECK(question->text() == "who is there?");
        question->reply("a listener");
      });
    });
    context.run();
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("an address that nobody comes to is a time-out") {
  const PortCensus census;
  MeetingPlace place;
  boost::asio::io_context context;
  error_code told;
  async_connect(context.get_executor(), place.address("here"), {.deadline = std::chrono::milliseconds(5)},
                [&](error_code error, MessagePort port) {
                  told = error;
                  CHECK_FALSE(port.is_open());
                });
  context.run();
  CHECK(told == boost::system::errc::timed_out);
}
