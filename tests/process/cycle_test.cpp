// SPDX-License-Identifier: Apache-2.0

// Ports that wait in each other's queues, so that nobody can ever receive them: they close like ports that
// were dropped, and nothing of them is left.
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kMailBytes = 10 << 20;  // a leak of it shows in what the machine has of shared memory

enum class Used { no, yes };

// Unread and large, for whoever never comes; of a port that was used before, some of it was read.
std::vector<MessageChannel> channels_with_mail(std::size_t count, Used used) {
  std::vector<MessageChannel> channels(count);
  for (MessageChannel& channel : channels) {
    if (used == Used::yes) {
      channel.port1.post_message("read");
      CHECK(channel.port2.receive()->text() == "read");
      channel.port2.post_message("in the other direction");
    }
    for (int i = 0; i < 2; ++i) channel.port1.post_message(pattern(kMailBytes / 2, 0));
  }
  return channels;
}

void post_into_next(MessagePort& port, MessageChannel& next) {
  port.post_message("the next one", {.transfer = {next.port2}});
}

void check_closed(MessagePort& port) {
  Received last = port.receive_for(kPatience);
  if (last) last = port.receive_for(kPatience);  // what was posted in the other direction
  CHECK(last.status() == ReceiveStatus::closed);
}

}  // namespace

TEST_CASE("a port that is sent through its own channel dooms both ends") {
  const PortCensus census;
  for (const Used used : {Used::no, Used::yes}) {
    std::vector<MessageChannel> channels = channels_with_mail(1, used);
    MessageChannel along;
    channels[0].port1.post_message("its own peer", {.transfer = {channels[0].port2, along.port2}});
    CHECK_FALSE(channels[0].port2.is_open());
    check_closed(channels[0].port1);
    CHECK(along.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  }
}

TEST_CASE("a port that comes back from another process to its peer's owner is still its own channel's") {
  const PortCensus census;
  MessageChannel channel, carrier;
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    MessagePort port = std::move(received->ports()[0]);
    port.post_message("used here");
    ports[0].post_message("back", {.transfer = {port}});
    return 0;
  });
  carrier.port1.post_message("there", {.transfer = {channel.port2}});
  Received received = carrier.port1.receive();
  MessagePort back = std::move(received->ports()[0]);
  channel.port1.post_message("its own peer", {.transfer = {back}});
  check_closed(channel.port1);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("cycles of two, three and ten ports close, and leave nothing") {
  const PortCensus census;
  for (const Used used : {Used::no, Used::yes})
    for (const std::size_t length : {2U, 3U, 10U}) {
      CAPTURE(length);
      std::vector<MessageChannel> channels = channels_with_mail(length, used);
      for (std::size_t i = 0; i < length; ++i) post_into_next(channels[i].port1, channels[(i + 1) % length]);
      for (MessageChannel& channel : channels) check_closed(channel.port1);
    }
}

TEST_CASE("what waits in a cycle's queues closes with it, and so does a cycle of cycles") {
  const PortCensus census;
  MessageChannel inner;
  std::vector<MessageChannel> first = channels_with_mail(2, Used::no),
                              second = channels_with_mail(2, Used::no);
  first[0].port1.post_message("an innocent", {.transfer = {inner.port2}});
  MessageChannel bridge;
  first[1].port1.post_message("to the second", {.transfer = {bridge.port2}});
  bridge.port1.post_message("a part of the second", {.transfer = {second[0].port2}});
  post_into_next(second[0].port1, second[1]);
  post_into_next(first[0].port1, first[1]);
  post_into_next(first[1].port1, first[0]);
  CHECK(inner.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  for (MessagePort* const port :
       {&first[0].port1, &first[1].port1, &bridge.port1, &second[0].port1, &second[1].port1})
    check_closed(*port);
}

TEST_CASE("a cycle whose edges were posted by two processes closes in both") {
  const PortCensus census;
  MessageChannel one, two, carrier;
  // The child has an end of each channel too, and closes the cycle with its last post.
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2), std::move(two.port1)), [](Ports& ports) {
    Received received = ports[0].receive();
    PORTOLAN_CHILD_REQUIRE(received && received->ports().size() == 1);
    MessagePort end = std::move(received->ports()[0]);
    ports[1].post_message("the last edge", {.transfer = {end}});
    PORTOLAN_CHILD_REQUIRE(ports[1].receive_for(kPatience).status() == ReceiveStatus::closed);
    return 0;
  });
  one.port1.post_message("the first edge", {.transfer = {two.port2}});
  carrier.port1.post_message("an end", {.transfer = {one.port2}});
  CHECK(one.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a cycle is noticed by a loop that does nothing else") {
  const PortCensus census;
  std::vector<MessageChannel> channels = channels_with_mail(2, Used::yes);
  std::size_t closed = 0;
  for (MessageChannel& channel : channels) {
    channel.port1.on_message([](MessageEvent&) {});
    channel.port1.on_close([&](CloseEvent&) { ++closed; });
  }
  post_into_next(channels[0].port1, channels[1]);
  post_into_next(channels[1].port1, channels[0]);
  EventLoop::current().run();
  CHECK(closed == 2);
}
