// SPDX-License-Identifier: Apache-2.0

// Channels, and the queue of a port: when it is enabled, and in which order messages become events.
#include <atomic>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "conformance/deliver.hpp"
#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

TEST_CASE("[M1] a channel is two new ports that are each other's peers") {
  const PortCensus census;
  MessageChannel channel, other;
  channel.port1.post_message("to 2");
  channel.port2.post_message("to 1");
  other.port1.post_message("elsewhere");
  CHECK(channel.port2.try_receive()->text() == "to 2");
  CHECK(channel.port1.try_receive()->text() == "to 1");
  CHECK(channel.port1.info().id == channel.port2.info().id);
  CHECK(channel.port1.info().id != other.port1.info().id);
  CHECK(channel.port1.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("[M2] a channel keeps its two port objects, also when they are closed or transferred") {
  const PortCensus census;
  MessageChannel channel, carrier;
  const MessagePort* const first = &channel.port1;
  channel.port2.close();
  carrier.port1.post_message("go", {.transfer = {carrier.port2}});
  MessageChannel moved;
  MessageChannel way;
  way.port1.post_message("go", {.transfer = {moved.port1}});
  CHECK(&channel.port1 == first);
  CHECK_FALSE(channel.port2.is_open());
  CHECK_FALSE(moved.port1.is_open());
  CHECK(moved.port1.try_post_message("x") == PostResult::detached);
  CHECK(channel.port2.try_post_message("x") == PostResult::closed);
}

TEST_CASE("[M4] ports outlive the channel object that made them") {
  const PortCensus census;
  auto channel = std::make_unique<MessageChannel>();
  MessagePort first = std::move(channel->port1), second = std::move(channel->port2);
  channel.reset();
  first.post_message("still here");
  CHECK(second.try_receive()->text() == "still here");
}

TEST_CASE("[M5] a queue is disabled at first: what arrives is kept, and a listener alone hears nothing") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  channel.port2.add_event_listener("message", [&](MessageEvent& event) { log.emplace_back(event.text()); });
  channel.port2.attach(EventLoop::current());
  channel.port1.post_message("kept");
  deliver();
  CHECK(log.empty());
  channel.port2.start();
  deliver();
  CHECK(log == Log{"kept"});
}

TEST_CASE("[M6] start() enables the queue; once more, or on a closed or detached port, it does nothing") {
  const PortCensus census;
  MessageChannel channel, closed, moved, carrier;
  Log log;
  channel.port2.add_event_listener("message", [&](MessageEvent& event) { log.emplace_back(event.text()); });
  channel.port1.post_message("one");
  channel.port2.start();
  channel.port2.start();
  deliver();
  channel.port2.start();
  deliver();
  CHECK(log == Log{"one"});
  closed.port1.close();
  closed.port1.start();
  carrier.port1.post_message("go", {.transfer = {moved.port1}});
  moved.port1.start();
  MessagePort().start();
  deliver();
  CHECK_FALSE(closed.port1.is_open());
}

TEST_CASE("[M7] only setting on_message enables the queue, to whatever") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  channel.port1.post_message("one");
  channel.port2.add_event_listener("message", [&](MessageEvent& event) { log.emplace_back(event.text()); });
  channel.port2.on_message_error([] {});
  channel.port2.on_close([] {});
  deliver();
  CHECK(log.empty());
  channel.port2.on_message(nullptr);
  deliver();
  CHECK(log == Log{"one"});
}

TEST_CASE("[M8] an enabled queue stays enabled: without a handler messages are lost") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port2, log);
  channel.port1.post_message("one");
  deliver();
  channel.port2.on_message(nullptr);
  channel.port1.post_message("lost");
  deliver();
  log_events(channel.port2, log);
  channel.port1.post_message("three");
  deliver();
  CHECK(log == Log{"one", "three"});
}

TEST_CASE("[M9] a handler set while a message is dispatched is for the next one, and each comes once") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  channel.port1.post_message("1");
  channel.port1.post_message("2");
  channel.port2.on_message([&](MessageEvent& event) {
    log.push_back("old " + std::string(event.text()));
    channel.port2.on_message([&](MessageEvent& next) { log.push_back("new " + std::string(next.text())); });
  });
  deliver();
  CHECK(log == Log{"old 1", "new 2"});
}

TEST_CASE("[M10] ports that answer each other for ever starve no timer, nor does one that is flooded") {
  const PortCensus census;
  MessageChannel channel, flooded;
  int hops = 0;
  bool timer = false;
  channel.port2.on_message([&](MessageEvent&) { channel.port2.post_message("pong"); });
  channel.port1.on_message([&](MessageEvent&) {
    ++hops;
    if (!timer) channel.port1.post_message("ping");
  });
  channel.port1.post_message("ping");
  EventLoop::current().set_timeout(0ns, [&] { timer = true; });
  for (int turns = 0; !timer && turns < 20; ++turns) static_cast<void>(EventLoop::current().poll());
  CHECK(timer);
  CHECK(hops < 1000);

  int served = 0;
  flooded.port2.on_message([&](MessageEvent&) { ++served; });
  for (int i = 0; i < 1000; ++i) flooded.port1.post_message("flood");
  deliver();
  for (int i = 0; i < 1000; ++i) flooded.port1.post_message("flood");
  served = 0;
  static_cast<void>(EventLoop::current().poll());
  CHECK(served == 64);
  deliver();
}

TEST_CASE("[M12] messages of ports that never left the thread are dispatched in the order of the posts") {
  const PortCensus census;
  MessageChannel b, d;
  Log log;
  for (const char* text : {"1", "2", "3"}) {
    b.port1.post_message(text);
    d.port1.post_message(text);
  }
  log_events(d.port2, log, "d");
  log_events(b.port2, log, "b");
  deliver();
  CHECK(log == Log{"b1", "d1", "b2", "d2", "b3", "d3"});

  log.clear();
  log_events(b.port1, log, "B");
  d.port1.post_message("4");
  b.port2.post_message("5");
  b.port1.post_message("6");
  b.port1.post_message("7");
  b.port2.post_message("8");
  d.port1.post_message("9");
  deliver();
  CHECK(log == Log{"d4", "B5", "b6", "b7", "B8", "d9"});
}

TEST_CASE("[M12] the order of posts holds for values and reservations, and for ports that start later") {
  const PortCensus census;
  MessageChannel a, b, c;
  std::vector<std::uint64_t> got;
  const auto note = [&](std::uint64_t number) { got.push_back(number); };
  a.port2.on_message<std::uint64_t>(note);
  // The first on a port that is not in use yet, the second where the first one ends.
  for (const std::uint64_t number : {2U, 4U}) {
    Space space = b.port1.reserve(8);
    a.port1.post_message(number - 1);
    std::memcpy(space.bytes().data(), &number, sizeof number);
    space.commit(8);
  }
  a.port1.post_message(std::uint64_t{5});
  c.port1.post_message(std::uint64_t{6});
  a.port1.post_message(std::uint64_t{7});
  c.port2.on_message<std::uint64_t>(note);
  b.port2.on_message([&](MessageEvent& event) {
    std::uint64_t number = 0;
    std::memcpy(&number, event.bytes().data(), sizeof number);
    note(number);
  });
  deliver();
  CHECK(got == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7});

  // A queue that is not enabled holds nobody up.
  MessageChannel idle;
  idle.port1.post_message("waits");
  a.port1.post_message(std::uint64_t{8});
  idle.port1.post_message("waits, too");
  c.port1.post_message(std::uint64_t{9});
  idle.port2.attach(EventLoop::current());
  deliver();
  CHECK(got.back() == 9);
}

TEST_CASE("[M13] a port that has travelled waits for no other port's messages, and keeps its own order") {
  const PortCensus census;
  MessageChannel travelled, carrier, stays;
  carrier.port1.post_message("go", {.transfer = {travelled.port2}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  Log log;
  std::optional<MessagePort> started;
  for (const char* text : {"1", "2", "3"}) {
    stays.port1.post_message(text);
    travelled.port1.post_message(text);
  }
  log_events(arrived, log, "travelled ");
  deliver();
  CHECK(log == Log{"travelled 1", "travelled 2", "travelled 3"});
  log_events(stays.port2, log, "");
  deliver();
  CHECK(log == Log{"travelled 1", "travelled 2", "travelled 3", "1", "2", "3"});
}

TEST_CASE("[M14] posting calls no listener") {
  const PortCensus census;
  MessageChannel channel;
  int calls = 0;
  channel.port2.on_message([&](MessageEvent&) { ++calls; });
  channel.port1.post_message("later");
  CHECK(calls == 0);
  deliver();
  CHECK(calls == 1);
}

TEST_CASE("[M66] an open port with a listener keeps its loop running, and what is posted later arrives") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port2, log);
  const pid_t looper = ::gettid();
  std::atomic<bool> returned{false};
  std::thread poster([&, port = std::move(channel.port1)]() mutable {
    REQUIRE(wait_until([&] { return returned.load() || sleeps_deeply(looper); }));
    port.post_message("from the other side");
    port.close();
  });
  EventLoop::current().run();
  returned.store(true);
  poster.join();
  CHECK(log == Log{"from the other side", "close"});
}

TEST_CASE("[M67] of a channel whose two ends are dropped nothing is left") {
  const PortCensus census;
  for (int i = 0; i < 3; ++i) {
    MessageChannel channel, inner;
    channel.port2.on_message([](MessageEvent&) { FAIL("nobody may see it"); });
    channel.port1.post_message("pending", {.transfer = {inner.port1}});
  }
  deliver();
}

TEST_CASE("[M68] nothing fires on ports whose loop has ended, and channels can still be made there") {
  const PortCensus census;
  MessageChannel channel;
  bool made = false;
  std::thread([&] {
    struct AtTheEnd {
      bool* made = nullptr;
      ~AtTheEnd() {
        MessageChannel late;
        late.port2.on_message([](MessageEvent&) { FAIL("its loop has ended"); });
        late.port1.post_message("never seen");
        static_cast<void>(EventLoop::current().poll());
        *made = late.port1.is_open();
      }
    };
    static thread_local AtTheEnd at_the_end;  // made before the loop, so it ends behind it
    at_the_end.made = &made;
    channel.port2.on_message([](MessageEvent&) { FAIL("its loop has ended"); });
  }).join();
  CHECK(made);
  channel.port1.post_message("nobody hears it");
  deliver();
  channel.port1.close();
  deliver();
}
