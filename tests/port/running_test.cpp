// SPDX-License-Identifier: Apache-2.0

// What keeps run() going, and what one turn does, with real ports.
#include <chrono>
#include <doctest/doctest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

TEST_CASE("run() goes on for an open ref'd port with a listener, and for no other port") {
  const PortCensus census;
  MessageChannel silent, unreffed, closed;
  silent.port2.start();  // nobody listens
  unreffed.port2.on_message([](MessageEvent&) {});
  CHECK(unreffed.port2.has_ref());
  unreffed.port2.unref();
  CHECK_FALSE(unreffed.port2.has_ref());
  closed.port2.on_close([](CloseEvent&) {});
  closed.port2.close();
  EventLoop::current().run();

  unreffed.port2.ref();
  CHECK(unreffed.port2.has_ref());
  CHECK_FALSE(MessagePort().has_ref());
  bool stopped = false;
  EventLoop::current().set_timeout(1ms, [&] {
    EventLoop::current().set_timeout(1ms, [&] {
      stopped = true;
      EventLoop::current().stop();
    });
  });
  EventLoop::current().run();
  CHECK(stopped);
  unreffed.port2.on_message(nullptr);
  EventLoop::current().run();  // nothing listens any more
}

TEST_CASE("an unref'd port is served as long as something else keeps run() going") {
  const PortCensus census;
  MessageChannel channel;
  int got = 0;
  channel.port2.on_message([&](MessageEvent&) {
    if (++got == 1) channel.port1.post_message("second");
  });
  channel.port2.unref();
  channel.port1.post_message("first");
  EventLoop::current().set_timeout(1ms, [] {});
  EventLoop::current().run();
  CHECK(got == 2);
}

TEST_CASE("run_one() handles one message, poll() what is there, and run_for() ends although a port is open") {
  const PortCensus census;
  MessageChannel channel;
  std::vector<std::string> got;
  channel.port2.on_message([&](MessageEvent& event) { got.emplace_back(event.text()); });
  for (const char* text : {"1", "2", "3"}) channel.port1.post_message(text);
  CHECK(EventLoop::current().run_one());
  CHECK(got.size() == 1);
  CHECK(EventLoop::current().poll() == 2);
  CHECK(EventLoop::current().poll() == 0);
  EventLoop::current().run_for(1ms);
  CHECK(got == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("a listener that owns what can only be moved is called, and gives it up when it is taken away") {
  const PortCensus census;
  MessageChannel channel, owned;
  std::string got;
  channel.port2.on_message(
      [&, port = std::move(owned.port1), text = std::make_unique<std::string>("own")](MessageEvent&) mutable {
        got = *text;
        port.post_message("from the listener's own port");
      });
  channel.port1.post_message("x");
  static_cast<void>(EventLoop::current().poll());
  CHECK(got == "own");
  CHECK(owned.port2.try_receive()->text() == "from the listener's own port");
  channel.port2.on_message(nullptr);
  CHECK(owned.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
}

TEST_CASE(
    "what a port's listener throws comes out of run() at the end of its turn, and run() goes on after it") {
  const PortCensus census;
  MessageChannel channel;
  int calls = 0;
  channel.port2.on_message([&](MessageEvent&) {
    if (++calls == 1) throw std::domain_error("the listener's");
    channel.port2.close();
  });
  channel.port1.post_message("1");
  channel.port1.post_message("2");
  CHECK_THROWS_WITH_AS(EventLoop::current().run(), "the listener's", std::domain_error);
  CHECK(calls == 2);
  EventLoop::current().run();
}
