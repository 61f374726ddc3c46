// SPDX-License-Identifier: Apache-2.0

// A port in somebody else's loop: its descriptor, and dispatch().
#include <doctest/doctest.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

bool readable(int descriptor) {
  pollfd asked{descriptor, POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

}  // namespace

TEST_CASE("a port's descriptor is readable while dispatch() has something to do") {
  const PortCensus census;
  MessageChannel channel;
  std::vector<std::string> got;
  channel.port2.on_message([&](MessageEvent& event) { got.emplace_back(event.text()); });
  channel.port2.on_close([&](CloseEvent&) { got.emplace_back("close"); });
  const int descriptor = channel.port2.native_handle();
  CHECK(channel.port2.native_handle() == descriptor);
  static_cast<void>(channel.port2.dispatch());
  CHECK_FALSE(readable(descriptor));
  channel.port1.post_message("one");
  channel.port1.post_message("two");
  CHECK(readable(descriptor));
  CHECK(channel.port2.dispatch() == 2);
  CHECK_FALSE(readable(descriptor));
  channel.port1.close();
  CHECK(readable(descriptor));
  CHECK(channel.port2.dispatch() == 1);
  CHECK(got == std::vector<std::string>{"one", "two", "close"});
}

TEST_CASE("what a listener throws comes out of dispatch() at its end") {
  const PortCensus census;
  MessageChannel channel;
  int calls = 0;
  static_cast<void>(channel.port2.native_handle());
  channel.port2.on_message([&](MessageEvent&) {
    ++calls;
    throw std::domain_error("the listener's");
  });
  channel.port1.post_message("one");
  channel.port1.post_message("two");
  CHECK_THROWS_WITH_AS(channel.port2.dispatch(), "the listener's", std::domain_error);
  CHECK(calls == 2);
  CHECK(channel.port2.dispatch() == 0);
}

TEST_CASE(
    "what a listener throws in dispatch() goes to the exception handler of the thread's loop, if it has "
    "one") {
  const PortCensus census;
  MessageChannel channel;
  int handled = 0;
  static_cast<void>(channel.port2.native_handle());
  channel.port2.on_message([](MessageEvent&) { throw std::domain_error("the listener's"); });
  EventLoop::current().set_exception_handler([&](std::exception_ptr) { ++handled; });
  channel.port1.post_message("one");
  CHECK(channel.port2.dispatch() == 1);
  EventLoop::current().set_exception_handler({});
  CHECK(handled == 1);
}
