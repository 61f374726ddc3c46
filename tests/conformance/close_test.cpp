// SPDX-License-Identifier: Apache-2.0

// The end of a channel: who hears of it, when, and what is still delivered.
#include <csignal>
#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include "conformance/deliver.hpp"
#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

TEST_CASE("[M47] a port in a message that nobody can receive any more closes, and its peer hears it") {
  const PortCensus census;
  Log log;
  MessageChannel in_queue, dropped, doomed, on_closed;
  for (auto* const channel : {&in_queue, &dropped, &doomed, &on_closed}) log_events(channel->port2, log);
  {
    MessageChannel carrier;
    carrier.port1.post_message("unread", {.transfer = {in_queue.port1}});
    carrier.port2.close();
    carrier.port1.post_message("dropped", {.transfer = {dropped.port1}});
  }
  MessageChannel self;
  self.port1.post_message("doomed", {.transfer = {self.port2, doomed.port1}});
  MessagePort closed;
  closed.post_message("nowhere", {.transfer = {on_closed.port1}});
  EventLoop::current().run();
  CHECK(log == Log{"close", "close", "close", "close"});
}

TEST_CASE("[M56] [M94] what was posted before a close arrives, and the close behind it") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port2, log);
  for (const char* text : {"1", "2", "3"}) channel.port1.post_message(text);
  channel.port1.close();
  EventLoop::current().run();
  CHECK(log == Log{"1", "2", "3", "close"});
}

TEST_CASE("[M57] what was queued when a port closes itself in a listener is still delivered") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  for (const char* text : {"1", "2", "3"}) channel.port1.post_message(text);
  channel.port2.on_message([&](MessageEvent& event) {
    log.emplace_back(event.text());
    channel.port2.close();
  });
  EventLoop::current().run();
  CHECK(log == Log{"1", "2", "3"});
}

TEST_CASE("[M58] what is posted after the receiving port was closed is not delivered") {
  const PortCensus census;
  MessageChannel channel, moved, carrier;
  Log log;
  log_events(channel.port2, log);
  log_events(moved.port2, log);
  channel.port2.close();
  channel.port1.post_message("too late");
  moved.port2.close();
  CHECK_FALSE(moved.port1.is_open());
  carrier.port1.post_message("go", {.transfer = {moved.port1}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  arrived.post_message("too late, too");
  EventLoop::current().run();
  CHECK(log.empty());
}

TEST_CASE("[M59] close() disentangles both ends at once, may be called again, and never throws") {
  const PortCensus census;
  MessageChannel channel;
  static_assert(noexcept(channel.port1.close()));
  channel.port1.close();
  CHECK_FALSE(channel.port1.is_open());
  CHECK_FALSE(channel.port2.is_open());
  channel.port1.close();
  channel.port2.close();
  MessagePort().close();
  CHECK(channel.port2.try_post_message("x") == PostResult::closed);
}

TEST_CASE("[M60] close is fired at the other port only, and is cancelable by nobody") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  channel.port1.on_message([](MessageEvent&) {});
  channel.port2.on_message([](MessageEvent&) {});
  channel.port1.on_close([&](CloseEvent&) { log.emplace_back("own"); });
  channel.port2.on_close([&](CloseEvent& event) {
    CHECK_FALSE(event.cancelable());
    CHECK_FALSE(event.bubbles());
    CHECK(event.is_trusted());
    log.emplace_back(to_string(event.reason()));
  });
  channel.port1.close();
  EventLoop::current().run();
  CHECK(log == Log{"closed"});
}

TEST_CASE("[M61] close is fired for a close, for an owner that dies, and for a port that is dropped") {
  const PortCensus census;
  MessageChannel closed, died, exited;
  auto dropped = std::make_unique<MessageChannel>();
  MessagePort keeps = std::move(dropped->port2);
  Log log;
  const auto listen = [&](MessagePort& port, const std::string& name) {
    port.on_close(
        [&log, name](CloseEvent& event) { log.push_back(name + std::string(to_string(event.reason()))); });
  };
  listen(closed.port2, "1 ");
  closed.port1.close();
  EventLoop::current().run();
  listen(keeps, "2 ");
  dropped.reset();
  EventLoop::current().run();
  ChildProcess victim = fork_with(ports_of(std::move(died.port1)), [](Ports& ports) {
    ports[0].post_message("alive");
    static_cast<void>(ports[0].receive());
    return 1;
  });
  CHECK(died.port2.receive()->text() == "alive");
  listen(died.port2, "3 ");
  ::kill(victim.pid(), SIGKILL);
  EventLoop::current().run();
  CHECK(victim.wait() == ChildExit::killed(SIGKILL));
  CHECK(log == Log{"1 closed", "2 closed", "3 peer_died"});
}

TEST_CASE("[M62] close is fired once") {
  const PortCensus census;
  MessageChannel channel;
  int closes = 0;
  channel.port2.on_message([](MessageEvent&) {});
  channel.port2.on_close([&] { ++closes; });
  channel.port1.close();
  deliver();
  channel.port1.close();
  channel.port1 = {};
  channel.port2.start();
  deliver();
  EventLoop::current().run();
  CHECK(closes == 1);
}

TEST_CASE("[M63] close is fired from a task of the loop, not within the call that closed") {
  const PortCensus census;
  MessageChannel channel;
  int closes = 0;
  channel.port2.on_close([&] { ++closes; });
  channel.port1.close();
  CHECK(closes == 0);
  deliver();
  CHECK(closes == 1);
}

TEST_CASE("[M64] close waits for unread messages, and for nothing if there are none") {
  const PortCensus census;
  MessageChannel unread, empty;
  Log log;
  unread.port2.on_close([&] { log.emplace_back("close behind the message"); });
  unread.port2.add_event_listener("message", [&](MessageEvent&) { log.emplace_back("message"); });
  empty.port2.on_close([&] { log.emplace_back("close of the empty one"); });
  unread.port1.post_message("x");
  unread.port1.close();
  empty.port1.close();
  deliver();
  CHECK(log == Log{"close of the empty one"});
  unread.port2.start();
  deliver();
  CHECK(log == Log{"close of the empty one", "message", "close behind the message"});
}

TEST_CASE("[M65] a port whose peer was closed while it travelled hears of it where it arrives") {
  const PortCensus census;
  MessageChannel channel, carrier;
  Log log;
  channel.port1.post_message("unread");
  carrier.port1.post_message("go", {.transfer = {channel.port2}});
  channel.port1.close();
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  log_events(arrived, log);
  EventLoop::current().run();
  CHECK(log == Log{"unread", "close"});
}
