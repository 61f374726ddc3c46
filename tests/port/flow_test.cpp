// SPDX-License-Identifier: Apache-2.0

// How a sender learns how far its peer is, and a receiver is bothered only when it is worth while; and one
// thread that waits for several ports.
#include <array>
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/condition.hpp"
#include "support/watchdog.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

TEST_CASE("what the peer has not read is counted, and drained() ends exactly when all of it was") {
  const PortCensus census;
  MessageChannel channel;
  for (int i = 0; i < 3; ++i) channel.port1.post_message("abcd");
  Drained drained = channel.port1.drained();
  channel.port1.post_message("not waited for");
  CHECK(channel.port1.buffered_amount().messages == 4);
  CHECK(channel.port1.buffered_amount().bytes == 26);
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(drained.done());
    static_cast<void>(channel.port2.receive());
  }
  CHECK(drained.done());
  CHECK(drained.wait_for(kPatience) == DrainStatus::drained);
  CHECK(channel.port1.buffered_amount().messages == 1);
  CHECK(channel.port1.buffered_amount().bytes == 14);
}

TEST_CASE("a message in hand counts as read once the next one is looked for, also where none is there") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("in hand");
  const Received in_hand = channel.port2.try_receive();
  CHECK(channel.port1.buffered_amount().messages == 1);
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
  CHECK(channel.port1.buffered_amount().messages == 0);
}

TEST_CASE("drained() waits for another process, by hand and in the loop") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (int i = 0; i < 2000; ++i) PORTOLAN_CHILD_REQUIRE(ports[0].receive()->data<int>() == i);
    static_cast<void>(ports[0].receive());
    return 0;
  });
  for (int i = 0; i < 1000; ++i) channel.port1.post_message(i);
  CHECK(channel.port1.drained().wait_for(kPatience) == DrainStatus::drained);
  CHECK(channel.port1.buffered_amount().messages <= 1);
  for (int i = 1000; i < 2000; ++i) channel.port1.post_message(i);
  std::optional<bool> all;
  channel.port1.drained().on_drained([&](bool read) { all = read; });
  EventLoop::current().run();
  CHECK(all == true);
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("drained() says when the channel ended with something unread, and when all was read before") {
  const PortCensus census;
  for (const bool reads : {true, false}) {
    MessageChannel channel;
    channel.port1.post_message("one");
    Drained drained = channel.port1.drained();
    CHECK(drained.wait_for(2ms) == DrainStatus::pending);
    ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [reads](Ports& ports) {
      if (reads) static_cast<void>(ports[0].receive());
      return 0;
    });
    CHECK(child.wait() == ChildExit::exited(0));
    CHECK(drained.get() == reads);
    CHECK(drained.status() == (reads ? DrainStatus::drained : DrainStatus::ended));
  }
  MessageChannel moves, carrier;
  moves.port1.post_message("unread");
  Drained left = moves.port1.drained();
  carrier.port1.post_message("on", {.transfer = {moves.port1}});
  CHECK(left.status() == DrainStatus::ended);
  CHECK(MessagePort().drained().status() == DrainStatus::ended);
}

TEST_CASE("who waits for a drain in the loop is told of the end with something unread") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("unread");
  std::optional<bool> all;
  int ends = 0;
  channel.port1.drained().on_drained([&](bool read) { all = read; });
  channel.port1.drained().on_drained([&] { ++ends; });
  channel.port2.close();
  EventLoop::current().run();
  CHECK(all == false);
  CHECK(ends == 1);
}

TEST_CASE("with a low-water mark a drain is told when no more than that is unread") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  const std::vector<std::byte> block(1000);
  std::uint64_t at_drain = ~0ull;
  channel.port1.on_drain({.messages = 3, .bytes = 3000}, [&] {
    at_drain = channel.port1.buffered_amount().messages;
    channel.port1.close();
  });
  std::uint64_t posted = 0;
  while (channel.port1.try_post_message(block) == PostResult::posted) ++posted;
  CHECK(channel.port1.info().posts_refused == 1);
  CHECK(channel.port1.info().waits_for_room == 0);
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [posted](Ports& ports) {
    for (std::uint64_t i = 0; i + 3 < posted; ++i)
      PORTOLAN_CHILD_REQUIRE(ports[0].receive().status() == ReceiveStatus::message);
    // The last three stay unread until the other end has noticed.
    while (ports[0].is_open()) std::this_thread::sleep_for(100us);
    return 0;
  });
  EventLoop::current().run();
  CHECK(at_drain == 3);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("each part of a low-water mark counts, and a drain is told once") {
  const PortCensus census;
  const std::vector<std::byte> block(1000);
  for (const Buffered mark :
       {Buffered{.messages = 2, .bytes = 1 << 20}, Buffered{.messages = 1000, .bytes = 2000}}) {
    MessageChannel channel({.limit_bytes = 64 << 10});
    int drains = 0;
    channel.port1.on_drain(mark, [&] { ++drains; });
    int unread = 0;
    while (channel.port1.try_post_message(block) == PostResult::posted) ++unread;
    const auto look = [] {
      for (int i = 0; i < 3; ++i) static_cast<void>(EventLoop::current().poll());
    };
    look();
    CHECK(drains == 0);
    for (; unread > 3; --unread) static_cast<void>(channel.port2.receive());
    look();
    CHECK(drains == 0);
    static_cast<void>(channel.port2.receive());
    while (drains == 0) REQUIRE(EventLoop::current().run_one());
    look();
    CHECK(drains == 1);
  }
}

TEST_CASE("posts that wait for room are counted, with the time") {
  MessageChannel channel({.limit_bytes = 64 << 10});
  const std::vector<std::byte> block(1000);
  while (channel.port1.try_post_message(block) == PostResult::posted) {
  }
  CHECK(channel.port1.post_message_for(5ms, block) == PostResult::timed_out);
  CHECK(channel.port1.info().waits_for_room >= 1);
  CHECK(channel.port1.info().waited_for_room_ns >= 4'000'000);
}

TEST_CASE("below its threshold a loop leaves messages alone, and then delivers until none is left") {
  const PortCensus census;
  for (const Threshold least : {Threshold{.messages = 10}, Threshold{.bytes = 40}}) {
    MessageChannel channel;
    MessageChannel away;  // so that the port is served as one of another process
    away.port1.post_message("on", {.transfer = {channel.port2}});
    MessagePort port = std::move(away.port2.receive()->ports()[0]);
    int seen = 0;
    port.set_threshold(least);
    port.on_message([&] { ++seen; });
    for (int i = 0; i < 9; ++i) channel.port1.post_message("four");
    EventLoop::current().run_for(5ms);
    CHECK(seen == 0);
    channel.port1.post_message("four");
    EventLoop::current().run_for(5ms);
    CHECK(seen == 10);
    channel.port1.post_message("left");
    EventLoop::current().run_for(5ms);
    CHECK(seen == 10);
    channel.port1.close();
    CHECK(runs_out());
    CHECK(seen == 11);
  }
}

TEST_CASE("wait_any returns the first port that has something, and npos in time") {
  const PortCensus census;
  std::vector<MessageChannel> channels(5);
  std::vector<MessagePort*> ports;
  for (MessageChannel& channel : channels) ports.push_back(&channel.port1);
  {
    const Waits waits("no time and 15 ms to be over");
    CHECK(wait_any(ports, 0ns) == npos);
    CHECK(wait_any(ports, 15ms) == npos);
  }
  channels[3].port2.post_message("here");
  CHECK(wait_any(ports, kPatience) == 3);
  channels[1].port2.close();
  CHECK(wait_any(ports, kPatience) == 1);
  CHECK(channels[1].port1.receive().status() == ReceiveStatus::closed);
  CHECK(channels[3].port1.receive()->text() == "here");
  MessagePort detached;
  const std::array<MessagePort*, 2> with_a_detached_one{&channels[0].port1, &detached};
  CHECK(wait_any(with_a_detached_one, kPatience) == 1);
}

TEST_CASE(
    "a thread asleep in wait_any is woken by another process's message, its death, a close and a stop") {
  const PortCensus census;
  const pid_t self = ::gettid();
  std::vector<MessageChannel> channels(3);
  std::vector<MessagePort*> ports;
  for (MessageChannel& channel : channels) ports.push_back(&channel.port1);
  ChildProcess child = fork_with(ports_of(std::move(channels[0].port2), std::move(channels[1].port2)),
                                 [self](Ports& of_child) {
                                   PORTOLAN_CHILD_REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
                                   of_child[1].post_message("one");
                                   static_cast<void>(of_child[1].receive());
                                   PORTOLAN_CHILD_REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
                                   return 0;
                                 });
  REQUIRE(wait_any(ports, kPatience) == 1);
  CHECK(channels[1].port1.receive()->text() == "one");
  channels[1].port1.post_message("on");
  const std::size_t dead = wait_any(ports, kPatience);
  CHECK(dead < 2);
  CHECK(child.wait() == ChildExit::exited(0));
  ports = {&channels[2].port1};
  std::jthread closer([&] {
    REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    channels[2].port1.close();
  });
  CHECK(wait_any(ports, kPatience) == 0);
  closer.join();
  MessageChannel quiet;
  ports = {&quiet.port1};
  std::stop_source stop;
  std::jthread stopper([&] {
    REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    stop.request_stop();
  });
  const Waits waits("the stop");
  CHECK(wait_any(ports, stop.get_token()) == npos);
}

TEST_CASE("wait_any with a time and a stop ends by whichever comes first") {
  const PortCensus census;
  const pid_t self = ::gettid();
  MessageChannel channel;
  const std::array<MessagePort*, 1> ports{&channel.port1};
  std::stop_source stop;
  {
    const Waits waits("5 ms to be over");
    CHECK(wait_any(ports, 5ms, stop.get_token()) == npos);
  }
  const std::jthread stopper([&] {
    REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    stop.request_stop();
  });
  const Waits waits("the stop");
  CHECK(wait_any(ports, 1h, stop.get_token()) == npos);
  CHECK(stop.stop_requested());
}

TEST_CASE("wait_any waits on a port that has only just arrived, and as long as there is") {
  const PortCensus census;
  const pid_t self = ::gettid();
  MessageChannel channel, carrier;
  carrier.port1.post_message("here", {.transfer = {channel.port1}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  const std::array<MessagePort*, 1> ports{&arrived};
  CHECK(wait_any(ports, 0ns) == npos);
  const std::jthread poster([&] {
    REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    channel.port2.post_message("at last");
  });
  CHECK(wait_any(ports, std::chrono::nanoseconds::max()) == 0);
}

TEST_CASE("a process that is killed ends what waits for its port, and for what it has not read") {
  const PortCensus census;
  const pid_t self = ::gettid();
  MessageChannel unread, quiet;
  unread.port1.post_message("unread");
  ChildProcess child = fork_with(ports_of(std::move(unread.port2), std::move(quiet.port2)), [self](Ports&) {
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    std::raise(SIGKILL);
    return 0;
  });
  const std::array<MessagePort*, 1> ports{&quiet.port1};
  CHECK(wait_any(ports, kPatience) == 0);
  CHECK(quiet.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(unread.port1.drained().wait_for(kPatience) == DrainStatus::ended);
  CHECK(child.wait() == ChildExit::killed(SIGKILL));
}
