// SPDX-License-Identifier: Apache-2.0

// Ports that move between processes while messages flow: nothing lost, nothing twice, everything in order.
#include <atomic>
#include <cstdint>
#include <doctest/doctest.h>

#include "port/hand_over.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kUnread = 200'000;
constexpr std::uint64_t kStops = 6;

struct Journey {
  std::atomic<std::uint64_t> posted{0};
  std::atomic<bool> arrived{false};
};

MessagePort first_port(Received& received) {
  PORTOLAN_CHILD_REQUIRE(received.status() == ReceiveStatus::message);
  PORTOLAN_CHILD_REQUIRE(received->ports().size() == 1);
  return std::move(received->ports()[0]);
}

void require_next(MessagePort& port, std::uint64_t expected) {
  Received received = port.receive();
  PORTOLAN_CHILD_REQUIRE(received.status() == ReceiveStatus::message);
  PORTOLAN_CHILD_REQUIRE(received->data<std::uint64_t>() == expected);
}

// Posts from 0 on until the port has arrived, then says how many it were; reads what was sent at each stop.
int post_until_arrived(MessagePort& port, SharedPage<Journey>& journey) {
  std::uint64_t posted = 0;
  while (!journey->arrived.load(std::memory_order_acquire)) {
    PORTOLAN_CHILD_REQUIRE(port.post_message_for(kPatience, posted) == PostResult::posted);
    journey->posted.store(++posted, std::memory_order_release);
    if (posted > kUnread && posted % 64 == 0) ::usleep(100);  // it goes on posting; how fast is no matter
  }
  for (std::uint64_t stop = 1; stop <= kStops; ++stop) require_next(port, stop);
  return 0;
}

int carry_on(Ports& ports, std::uint64_t stop) {
  Received received = ports[0].receive();
  MessagePort travelling = first_port(received);
  travelling.post_message(stop);
  ports[1].post_message("on it goes", {.transfer = {travelling}});
  return 0;
}

int arrive(Ports& ports, SharedPage<Journey>& journey) {
  Received received = ports[0].receive();
  MessagePort port = first_port(received);
  port.post_message(kStops);
  std::uint64_t expected = 0;
  for (; expected < kUnread; ++expected) require_next(port, expected);
  journey->arrived.store(true, std::memory_order_release);
  for (;;) {
    Received next = port.receive();
    if (next.status() == ReceiveStatus::closed) break;
    PORTOLAN_CHILD_REQUIRE(next->data<std::uint64_t>() == expected++);
  }
  PORTOLAN_CHILD_REQUIRE(expected == journey->posted.load());
  return 0;
}

}  // namespace

TEST_CASE(
    "a port handed through six processes with 200,000 unread messages loses none while its peer posts on") {
  SharedPage<Journey> journey;
  const PortCensus census;
  MessageChannel data;
  std::vector<MessageChannel> carriers(kStops);
  std::vector<ChildProcess> children;
  children.push_back(fork_with(ports_of(std::move(data.port1)),
                               [&](Ports& ports) { return post_until_arrived(ports[0], journey); }));
  for (std::uint64_t stop = 1; stop < kStops; ++stop)
    children.push_back(
        fork_with(ports_of(std::move(carriers[stop - 1].port2), std::move(carriers[stop].port1)),
                  [stop](Ports& ports) { return carry_on(ports, stop); }));
  children.push_back(fork_with(ports_of(std::move(carriers[kStops - 1].port2)),
                               [&](Ports& ports) { return arrive(ports, journey); }));
  REQUIRE(wait_until([&] { return journey->posted.load(std::memory_order_acquire) >= kUnread; }));
  carriers[0].port1.post_message("and off it goes", {.transfer = {data.port2}});
  for (ChildProcess& child : children) CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("both ends of a channel travel in one message and talk at their destination") {
  const PortCensus census;
  MessageChannel carrier, data;
  data.port1.post_message(std::uint64_t{1});
  data.port2.post_message(std::uint64_t{10});
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    PORTOLAN_CHILD_REQUIRE(received->ports().size() == 2);
    MessagePort one = std::move(received->ports()[0]), two = std::move(received->ports()[1]);
    one.post_message(std::uint64_t{2});
    two.post_message(std::uint64_t{11});
    require_next(two, 1);
    require_next(two, 2);
    require_next(one, 10);
    require_next(one, 11);
    ports[0].post_message("both are here");
    return 0;
  });
  carrier.port1.post_message("both", {.transfer = {data.port1, data.port2}});
  CHECK(carrier.port1.receive()->text() == "both are here");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("both ends in transit at once in two messages: posts between the two adoptions arrive in order") {
  struct Gates {
    std::atomic<bool> first_has_posted{false};
  };
  SharedPage<Gates> gates;
  const PortCensus census;
  MessageChannel to_first, to_second, data;
  data.port1.post_message(std::uint64_t{1});
  data.port2.post_message(std::uint64_t{101});
  to_first.port1.post_message("one end", {.transfer = {data.port1}});
  to_second.port1.post_message("the other end", {.transfer = {data.port2}});
  ChildProcess first = fork_with(ports_of(std::move(to_first.port2)), [&](Ports& ports) {
    Received received = ports[0].receive();
    MessagePort port = first_port(received);
    port.post_message(std::uint64_t{2});  // adopted here; the other end is still in transit
    gates->first_has_posted.store(true, std::memory_order_release);
    require_next(port, 101);
    require_next(port, 102);
    port.post_message(std::uint64_t{3});
    return 0;
  });
  ChildProcess second = fork_with(ports_of(std::move(to_second.port2)), [&](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(
        wait_until([&] { return gates->first_has_posted.load(std::memory_order_acquire); }));
    Received received = ports[0].receive();
    MessagePort port = first_port(received);
    port.post_message(std::uint64_t{102});
    for (const std::uint64_t expected : {1U, 2U, 3U}) require_next(port, expected);
    PORTOLAN_CHILD_REQUIRE(port.receive().status() == ReceiveStatus::closed);
    return 0;
  });
  CHECK(first.wait() == ChildExit::exited(0));
  CHECK(second.wait() == ChildExit::exited(0));
}

TEST_CASE("a port whose peer was closed during its transit delivers what was queued and then says closed") {
  const PortCensus census;
  MessageChannel carrier, data;
  data.port1.post_message("before");
  carrier.port1.post_message("the port", {.transfer = {data.port2}});
  data.port1.post_message("during");
  data.port1.close();
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  CHECK(arrived.receive()->text() == "before");
  CHECK(arrived.receive()->text() == "during");
  CHECK(arrived.receive().status() == ReceiveStatus::closed);

  MessageChannel again;
  carrier.port1.post_message("the port", {.transfer = {again.port2}});
  again.port1.close();
  MessagePort with_events = std::move(carrier.port2.receive()->ports()[0]);
  std::vector<CloseReason> reasons;
  with_events.on_close([&](CloseEvent& event) { reasons.push_back(event.reason()); });
  EventLoop::current().run();
  CHECK(reasons == std::vector{CloseReason::closed});
}

TEST_CASE("a port that moves tells its peer nothing, and messages sent at each stop keep their order") {
  const PortCensus census;
  MessageChannel data, carrier;
  std::size_t closes = 0;
  data.port1.on_close([&](CloseEvent&) { ++closes; });
  data.port2.post_message(std::uint64_t{0});
  MessagePort travelling = std::move(data.port2);
  for (std::uint64_t hop = 1; hop <= 50; ++hop) {
    carrier.port1.post_message("hop", {.transfer = {travelling}});
    travelling = std::move(carrier.port2.receive()->ports()[0]);
    travelling.post_message(hop);
  }
  std::vector<std::uint64_t> got;
  data.port1.on_message<std::uint64_t>([&](std::uint64_t number) {
    got.push_back(number);
    if (number == 50) EventLoop::current().stop();
  });
  EventLoop::current().run();
  REQUIRE(got.size() == 51);
  for (std::uint64_t i = 0; i <= 50; ++i) CHECK(got[i] == i);
  CHECK(closes == 0);
}

TEST_CASE("the sender's object is inert after a transfer") {
  const PortCensus census;
  MessageChannel data, carrier;
  data.port1.post_message("unread");
  carrier.port1.post_message("x", {.transfer = {data.port1}});
  CHECK_FALSE(data.port1.is_open());
  CHECK(data.port1.try_post_message("y") == PostResult::detached);
  CHECK(data.port1.receive().status() == ReceiveStatus::closed);
  data.port1.start();
  data.port1.close();
  CHECK_THROWS_AS(carrier.port1.post_message("x", {.transfer = {data.port1}}), DataCloneError);
  CHECK(data.port2.receive()->text() == "unread");
  CHECK(data.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("a started port that moves is disabled again and takes its unread messages along") {
  const PortCensus census;
  MessageChannel data, carrier;
  std::vector<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 5; ++i) data.port1.post_message(i);
  data.port2.on_message<std::uint64_t>([&](std::uint64_t number) {
    seen.push_back(number);
    if (number == 1) carrier.port1.post_message("it", {.transfer = {data.port2}});
  });
  MessagePort arrived;
  carrier.port2.on_message([&](MessageEvent& event) {
    arrived = std::move(event.ports()[0]);
    carrier.port2.close();
  });
  EventLoop::current().run();
  CHECK(seen == std::vector<std::uint64_t>{0, 1});  // the one being handled is finished, the others go along
  arrived.on_close([](CloseEvent&) {});
  EventLoop::current().poll();
  CHECK(seen.size() == 2);
  for (std::uint64_t i = 2; i < 5; ++i) CHECK(arrived.receive()->data<std::uint64_t>() == i);
}
