// SPDX-License-Identifier: Apache-2.0

// A port that closes itself: in one of its listeners, from another thread, while a thread sleeps on it.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kQueued = 1000;  // more than a turn of the loop handles, and more than a first extent

}  // namespace

TEST_CASE(
    "messages that were queued when a port closed itself in a listener are all delivered, then run() "
    "returns") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  std::vector<std::uint64_t> got;
  for (std::uint64_t i = 0; i < kQueued; ++i) channel.port1.post_message(i);
  channel.port2.on_message<std::uint64_t>([&](std::uint64_t number) {
    got.push_back(number);
    channel.port2.close();
  });
  EventLoop::current().run();
  REQUIRE(got.size() == kQueued);
  for (std::uint64_t i = 0; i < kQueued; ++i) CHECK(got[i] == i);
  EventLoop::current().run();
  CHECK(got.size() == kQueued);
}

TEST_CASE("what was queued when a port closed itself in a listener arrives with its ports and large bodies") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20}), data;
  channel.port1.post_message("the first");
  channel.port1.post_message("a port", {.transfer = {data.port2}});
  channel.port1.post_message(pattern(100'000, 1));  // the first one in a block, which nobody has mapped yet
  channel.port1.post_message(pattern(400'000, 2));  // in a file of its own
  std::vector<std::string> got;
  MessagePort arrived;
  channel.port2.on_message([&](MessageEvent& event) {
    channel.port2.close();
    if (event.bytes().size() < 100) got.emplace_back(event.text());
    if (!event.ports().empty()) arrived = std::move(event.ports()[0]);
    for (const std::size_t seed : {1U, 2U})
      if (event.bytes().size() == (seed == 1 ? 100'000U : 400'000U) &&
          std::memcmp(event.bytes().data(), pattern(event.bytes().size(), seed).data(),
                      event.bytes().size()) == 0)
        got.push_back("body " + std::to_string(seed));
  });
  channel.port2.on_message_error([&](MessageEvent&) { got.emplace_back("error"); });
  EventLoop::current().run();
  CHECK(got == std::vector<std::string>{"the first", "a port", "body 1", "body 2"});
  arrived.post_message("works");
  CHECK(data.port1.receive_for(kPatience)->text() == "works");
}

TEST_CASE("the peer knows at once that a port closed itself, although its queue is still being delivered") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("first");
  channel.port1.post_message("second");
  std::vector<std::string> got;
  channel.port2.on_message([&](MessageEvent& event) {
    got.emplace_back(event.text());
    channel.port2.close();
    CHECK(channel.port1.try_post_message("too late") == PostResult::closed);
    CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  });
  EventLoop::current().run();
  CHECK(got == std::vector<std::string>{"first", "second"});
}

TEST_CASE("run() goes on with others after a port closed itself, and returns when nothing is left") {
  const PortCensus census;
  MessageChannel closing, living;
  std::vector<std::string> got;
  closing.port1.post_message("close");
  closing.port2.on_message([&](MessageEvent&) {
    closing.port2.close();
    living.port1.post_message("still here");
  });
  living.port2.on_message([&](MessageEvent& event) {
    got.emplace_back(event.text());
    living.port1.close();
  });
  living.port2.on_close([&](CloseEvent&) { got.emplace_back("close"); });
  EventLoop::current().run();
  CHECK(got == std::vector<std::string>{"still here", "close"});
}

TEST_CASE("a port that is destroyed in its own listener drops what was queued") {
  const PortCensus census;
  MessageChannel channel;
  for (std::uint64_t i = 0; i < kQueued; ++i) channel.port1.post_message(i);
  std::size_t got = 0;
  channel.port2.on_message([&](MessageEvent&) {
    ++got;
    channel.port2 = {};
  });
  EventLoop::current().run();
  CHECK(got == 1);
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a port closed by another thread delivers what its loop had queued, and lets run() return") {
  const PortCensus census;
  MessageChannel channel;
  std::atomic<bool> started{false};
  std::uint64_t got = 0;
  channel.port2.on_message([&](MessageEvent&) {
    if (++got > 1) return;
    started.store(true);
    REQUIRE(wait_until([&] { return !channel.port2.is_open(); }));
  });
  for (std::uint64_t i = 0; i < kQueued; ++i) channel.port1.post_message(i);
  std::thread closer([&] {
    while (!started.load()) std::this_thread::yield();
    channel.port2.close();
  });
  EventLoop::current().run();
  closer.join();
  CHECK(got == kQueued);
}

TEST_CASE("a port closed by another thread wakes the loop that sleeps on it, which then returns") {
  const PortCensus census;
  MessageChannel channel;
  channel.port2.on_message([](MessageEvent&) {});
  std::thread closer([&] {
    CHECK(channel.port1.receive()->text() == "the loop is running");
    channel.port2.close();
  });
  EventLoop::current().post([&] { channel.port2.post_message("the loop is running"); });
  EventLoop::current().run();
  closer.join();
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("close() while another thread sleeps in receive ends that sleep, and the peer process knows") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    ports[0].post_message("one");
    PORTOLAN_CHILD_REQUIRE(ports[0].receive().status() == ReceiveStatus::closed);
    return 0;
  });
  std::atomic<ReceiveStatus> last{ReceiveStatus::message};
  std::atomic<pid_t> thread{0};
  std::thread sleeper([&] {
    CHECK(channel.port1.receive()->text() == "one");
    thread.store(::gettid());
    last.store(channel.port1.receive().status());
  });
  REQUIRE(wait_until([&] { return thread.load() != 0 && sleeps_deeply(thread.load()); }));
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
  sleeper.join();
  CHECK(last.load() == ReceiveStatus::closed);
}

TEST_CASE("close() while another thread waits for room ends that wait") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  const std::vector<std::byte> part(4096);
  while (channel.port1.try_post_message(part) == PostResult::posted) {
  }
  std::atomic<bool> waiting{false};
  PostResult result = PostResult::posted;
  std::thread poster([&] {
    waiting.store(true);
    result = channel.port1.post_message_for(kPatience, part);
  });
  REQUIRE(wait_until([&] { return waiting.load(); }));
  channel.port1.close();
  poster.join();
  CHECK(result == PostResult::closed);
}

TEST_CASE("a port whose loop has ended closes at once, and so do the ports in its queue") {
  const PortCensus census;
  MessageChannel channel, data;
  std::thread([&] { channel.port2.on_message([](MessageEvent&) { FAIL("its loop has ended"); }); }).join();
  channel.port1.post_message("a port", {.transfer = {data.port2}});
  channel.port2.close();
  CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(data.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
}

TEST_CASE("a port whose loop has told the end knows why, in the listener and later") {
  const PortCensus census;
  for (const CloseReason reason : {CloseReason::closed, CloseReason::peer_died}) {
    MessageChannel channel;
    ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [&](Ports& ports) {
      ports[0].post_message("the last words");
      if (reason == CloseReason::peer_died) ::kill(::getpid(), SIGKILL);
      return 0;
    });
    std::optional<CloseReason> in_listener;
    channel.port1.on_message([](MessageEvent&) {});
    channel.port1.on_close([&](CloseEvent&) { in_listener = channel.port1.close_reason(); });
    EventLoop::current().run();
    CHECK(in_listener == reason);
    CHECK(channel.port1.close_reason() == reason);
    static_cast<void>(child.wait());
  }
}

TEST_CASE("a reader without a loop knows whether the other end was closed or its process killed") {
  const PortCensus census;
  for (const CloseReason reason : {CloseReason::closed, CloseReason::peer_died}) {
    MessageChannel channel;
    ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [&](Ports& ports) {
      ports[0].post_message("the last words");
      if (reason == CloseReason::peer_died) ::kill(::getpid(), SIGKILL);
      return 0;
    });
    CHECK(channel.port1.receive_for(kPatience)->text() == "the last words");
    CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
    CHECK(channel.port1.close_reason() == reason);
    static_cast<void>(child.wait());
    channel.port1.close();
    CHECK_FALSE(channel.port1.close_reason());
  }
  MessageChannel open;
  CHECK_FALSE(open.port1.close_reason());
  CHECK_FALSE(MessagePort().close_reason());
}
