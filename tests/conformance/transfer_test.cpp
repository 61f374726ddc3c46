// SPDX-License-Identifier: Apache-2.0

// What a transferred port is: its queue, its peer, what stays behind, and how its message becomes an event.
#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance/deliver.hpp"
#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Through a channel of its own, as a new object.
MessagePort travel(MessagePort& port) {
  MessageChannel carrier;
  carrier.port1.post_message("go", {.transfer = {port}});
  return std::move(carrier.port2.receive()->ports()[0]);
}

}  // namespace

TEST_CASE("[M35] a transfer detaches the sender's object at once and for ever") {
  const PortCensus census;
  MessageChannel channel, carrier;
  carrier.port1.post_message("go", {.transfer = {channel.port1}});
  CHECK_FALSE(channel.port1.is_open());
  CHECK(channel.port1.try_post_message("x") == PostResult::detached);
  const MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  CHECK(arrived.is_open());
  CHECK_FALSE(channel.port1.is_open());
}

TEST_CASE("[M36] a transferred buffer has length 0 at its sender, and its bytes at the receiver") {
  const PortCensus census;
  MessageChannel channel;
  SharedBuffer buffer(4096);
  buffer.bytes()[7] = std::byte{7};
  channel.port1.post_message("it", {.transfer = {buffer}});
  CHECK(buffer.size() == 0);
  CHECK_FALSE(static_cast<bool>(buffer));
  Received received = channel.port2.receive();
  REQUIRE(received->buffers().size() == 1);
  CHECK(received->buffers()[0].size() == 4096);
  CHECK(received->buffers()[0].bytes()[7] == std::byte{7});
}

TEST_CASE("[M38] a port's unread messages and its peer go with it") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("unread");
  MessagePort arrived = travel(channel.port2);
  CHECK(arrived.try_receive()->text() == "unread");
  arrived.post_message("back");
  CHECK(channel.port1.try_receive()->text() == "back");
}

TEST_CASE("[M39] a port that was started is disabled again where it arrives") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port2, log, "old ");
  for (const char* text : {"1", "2"}) channel.port1.post_message(text);
  MessagePort arrived = travel(channel.port2);
  arrived.add_event_listener("message", [&](MessageEvent& event) { log.emplace_back(event.text()); });
  arrived.attach(EventLoop::current());
  deliver();
  CHECK(log.empty());
  arrived.start();
  deliver();
  CHECK(log == Log{"1", "2"});
}

TEST_CASE("[M40] listeners stay behind, and hear nothing any more") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port2, log, "old ");
  MessagePort arrived = travel(channel.port2);
  channel.port1.post_message("for the new one");
  channel.port1.close();
  arrived.start();
  deliver();
  CHECK(log.empty());
}

TEST_CASE("[M41] what the peer posts before, during and after a move arrives once and in order") {
  const PortCensus census;
  MessageChannel channel, carrier;
  channel.port1.post_message("before");
  carrier.port1.post_message("go", {.transfer = {channel.port2}});
  channel.port1.post_message("during");
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  channel.port1.post_message("after");
  Log log;
  log_events(arrived, log);
  deliver();
  CHECK(log == Log{"before", "during", "after"});
}

TEST_CASE("[M42] what a port posts at each stop of its way arrives in order") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<MessagePort> port(std::move(channel.port2));
  Log expected;
  for (int stop = 0; stop < 4; ++stop) {
    expected.push_back("stop " + std::to_string(stop));
    port->post_message(expected.back());
    MessagePort next = travel(*port);
    port.emplace(std::move(next));
  }
  Log log;
  log_events(channel.port1, log);
  deliver();
  CHECK(log == expected);
}

TEST_CASE("[M43] both ends may move, by the same carrier and at the same time") {
  const PortCensus census;
  MessageChannel channel, carrier;
  channel.port1.post_message("1");
  carrier.port1.post_message("both", {.transfer = {channel.port1, channel.port2}});
  Received received = carrier.port2.receive();
  MessagePort first = std::move(received->ports()[0]), second = std::move(received->ports()[1]);
  first.post_message("2");
  Log log;
  log_events(second, log);
  deliver();
  CHECK(log == Log{"1", "2"});
}

TEST_CASE("[M44] a port moves any number of times, and carries ports in its unread messages") {
  const PortCensus census;
  MessageChannel outer, middle, inner;
  inner.port1.post_message("at the bottom");
  middle.port1.post_message("inner", {.transfer = {inner.port2}});
  outer.port1.post_message("middle", {.transfer = {middle.port2}});
  MessagePort first = travel(outer.port2);
  MessagePort again = travel(first);
  MessagePort found = std::move(again.receive()->ports()[0]);
  MessagePort bottom = std::move(found.receive()->ports()[0]);
  CHECK(bottom.receive()->text() == "at the bottom");
}

TEST_CASE("[M45] a transferred port's former object is inert, and cannot be transferred again") {
  const PortCensus census;
  MessageChannel channel, carrier;
  carrier.port1.post_message("go", {.transfer = {channel.port1}});
  const MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  channel.port1.post_message("dropped");
  channel.port1.start();
  channel.port1.close();
  CHECK_THROWS_AS(carrier.port1.post_message("go", {.transfer = {channel.port1}}), DataCloneError);
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
  CHECK(arrived.is_open());
}

TEST_CASE("[M46] a move fires no close at the peer") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  log_events(channel.port1, log);
  MessagePort arrived = travel(channel.port2);
  deliver();
  arrived.post_message("used");
  arrived = travel(arrived);
  deliver();
  CHECK(log == Log{"used"});
  CHECK(channel.port1.is_open());
}

TEST_CASE("[M48] a value is read when its event is dispatched, after its ports") {
  const PortCensus census;
  MessageChannel carrier, channel;
  Log log;
  carrier.port1.post_message(std::vector<int>{1, 2}, {.transfer = {channel.port1}});
  carrier.port2.on_message<std::vector<int>>([&](const std::vector<int>& value, MessageEvent& event) {
    log.push_back(std::to_string(value.size()) + " numbers");
    event.ports()[0].post_message("from the listener");
  });
  CHECK(log.empty());
  deliver();
  CHECK(log == Log{"2 numbers"});
  CHECK(channel.port2.try_receive()->text() == "from the listener");
}

TEST_CASE(
    "[M49] a message that cannot be read is a messageerror without data and ports, and later ones still "
    "come") {
  const PortCensus census;
  MessageChannel channel, carried;
  Log log;
  channel.port2.on_message_error([&](MessageEvent& event) {
    log.push_back("error " + std::to_string(event.bytes().size()) + std::string(event.type()));
    CHECK(event.ports().empty());
  });
  channel.port2.on_message<std::vector<int>>(
      [&](const std::vector<int>& value) { log.push_back("value " + std::to_string(value.at(0))); });
  channel.port1.post_message("no numbers", {.transfer = {carried.port1}});
  channel.port1.post_message(std::vector{5});
  deliver();
  CHECK(log == Log{"error 0messageerror", "value 5"});
  CHECK(carried.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
}

TEST_CASE("[M51] an event has the data, and all ports of the list in its order, other things left out") {
  const PortCensus census;
  MessageChannel carrier, a, b;
  MessageChannel for_a({.label = "a"}), for_b({.label = "b"});
  FileDescriptor descriptor = FileDescriptor::duplicate_of(0);
  std::vector<std::string> labels;
  carrier.port1.post_message("data", {.transfer = {for_b.port1, descriptor, for_a.port1}});
  carrier.port2.on_message([&](MessageEvent& event) {
    CHECK(event.type() == "message");
    CHECK(event.text() == "data");
    for (MessagePort& port : event.ports()) labels.push_back(port.info().label);
  });
  deliver();
  CHECK(labels == Log{"b", "a"});
}

TEST_CASE("[M52] the ports of an event are the same array each time, which nobody can lengthen") {
  const PortCensus census;
  MessageChannel carrier, channel;
  static_assert(std::is_same_v<decltype(std::declval<MessageEvent&>().ports()), std::span<MessagePort>>);
  bool seen = false;
  carrier.port1.post_message("x", {.transfer = {channel.port1}});
  carrier.port2.on_message([&](MessageEvent& event) {
    MessagePort* const first = event.ports().data();
    CHECK(event.ports().data() == first);
    const MessagePort taken = std::move(event.ports()[0]);
    CHECK(event.ports().size() == 1);
    CHECK(event.ports().data() == first);
    CHECK_FALSE(event.ports()[0].is_open());
    seen = taken.is_open();
  });
  deliver();
  CHECK(seen);
}

TEST_CASE("[M53] without ports the event's list is empty") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<std::size_t> count;
  channel.port1.post_message("no ports");
  channel.port2.on_message([&](MessageEvent& event) { count = event.ports().size(); });
  deliver();
  CHECK(count == 0);
}

TEST_CASE("[M93] a direction is first in, first out, and exactly once, over starts, moves and processes") {
  const PortCensus census;
  constexpr std::uint64_t kCount = 3000;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port1)), [](Ports& ports) {
    for (std::uint64_t i = 0; i < kCount; ++i) ports[0].post_message(i);
    return 0;
  });
  std::optional<MessagePort> port(std::move(channel.port2));
  std::uint64_t next = 0;
  bool in_order = true;
  bool closed = false;
  while (next < kCount && !closed) {
    const std::uint64_t until = next + 500;
    port->on_message<std::uint64_t>([&](std::uint64_t number) {
      in_order = in_order && number == next;
      if (++next == until) EventLoop::current().stop();
    });
    port->on_close([&] { closed = true; });
    EventLoop::current().run();
    if (closed) break;
    MessagePort moved = travel(*port);
    port.emplace(std::move(moved));
  }
  CHECK(in_order);
  CHECK(next == kCount);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("[M95] a port is usable in the first listener that sees it, and has what was sent to it before") {
  const PortCensus census;
  MessageChannel carrier, channel;
  Log log;
  channel.port1.post_message("sent ahead");
  carrier.port1.post_message("it", {.transfer = {channel.port2}});
  channel.port1.post_message("sent behind");
  std::optional<MessagePort> arrived;
  carrier.port2.on_message([&](MessageEvent& event) {
    arrived.emplace(std::move(event.ports()[0]));
    arrived->post_message("at once");
    log_events(*arrived, log);
  });
  deliver();
  CHECK(log == Log{"sent ahead", "sent behind"});
  CHECK(channel.port1.try_receive()->text() == "at once");
}

TEST_CASE("[M96] each of several travelled channels keeps its own order, however they interleave") {
  const PortCensus census;
  MessageChannel a, b;
  std::array<MessagePort, 2> arrived{travel(a.port2), travel(b.port2)};
  std::array<std::vector<int>, 2> got;
  for (std::size_t i = 0; i < 2; ++i)
    arrived[i].on_message<int>([&got, i](int number) { got[i].push_back(number); });
  for (int i = 0; i < 200; ++i) (i % 3 == 0 ? a : b).port1.post_message(i);
  deliver();
  CHECK(got[0].size() + got[1].size() == 200);
  for (const auto& numbers : got)
    for (std::size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i - 1] < numbers[i]);
}
