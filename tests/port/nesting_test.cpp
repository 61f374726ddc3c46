// SPDX-License-Identifier: Apache-2.0

// Ports inside messages that nobody has read: nested, many at once, and dropped with the queue that holds
// them.
#include <cstdint>
#include <doctest/doctest.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

TEST_CASE("ports nested a hundred deep in unread messages are found and work") {
  constexpr std::size_t kDepth = 100;
  const ManyDescriptors many;
  const PortCensus census;
  std::vector<MessageChannel> channels(kDepth + 1);
  for (std::size_t i = kDepth; i > 0; --i)
    channels[i - 1].port1.post_message("deeper", {.transfer = {channels[i].port2}});
  channels[kDepth].port1.post_message("the bottom");
  ChildProcess child = fork_with(ports_of(std::move(channels[0].port2)), [](Ports& ports) {
    MessagePort port = std::move(ports[0]);
    for (std::size_t depth = 0; depth < kDepth; ++depth) {
      Received received = port.receive();
      PORTOLAN_CHILD_REQUIRE(received && received->text() == "deeper");
      MessagePort next = std::move(received->ports()[0]);
      received = Received();
      port = std::move(next);
    }
    PORTOLAN_CHILD_REQUIRE(port.receive()->text() == "the bottom");
    port.post_message("seen");
    return 0;
  });
  CHECK(channels[kDepth].port1.receive()->text() == "seen");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("ports nested a hundred deep close with the outermost one that holds them") {
  constexpr std::size_t kDepth = 100;
  const ManyDescriptors many;
  const PortCensus census;
  std::vector<MessageChannel> channels(kDepth + 1);
  for (std::size_t i = kDepth; i > 0; --i)
    channels[i - 1].port1.post_message("deeper", {.transfer = {channels[i].port2}});
  channels[0].port2.close();
  for (MessageChannel& channel : channels) CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("three hundred ports travel in one message, with descriptors among them") {
  constexpr std::size_t kPorts = 300;
  const ManyDescriptors many;
  const PortCensus census;
  MessageChannel carrier;
  std::vector<MessageChannel> channels(kPorts);
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    PORTOLAN_CHILD_REQUIRE(received->ports().size() == kPorts);
    PORTOLAN_CHILD_REQUIRE(received->descriptors().size() == 2);
    for (std::uint64_t i = 0; i < kPorts; ++i) {
      PORTOLAN_CHILD_REQUIRE(received->ports()[i].receive()->data<std::uint64_t>() == i);
      received->ports()[i].post_message(i);
    }
    return 0;
  });
  std::vector<Transferable> list;
  FileDescriptor null = FileDescriptor::duplicate_of(0), standard = FileDescriptor::duplicate_of(2);
  list.emplace_back(null);
  for (std::uint64_t i = 0; i < kPorts; ++i) {
    channels[i].port1.post_message(i);
    list.emplace_back(channels[i].port2);
  }
  list.emplace_back(standard);
  carrier.port1.post_message("all of them", {.transfer = TransferList(list)});
  CHECK_FALSE(null);
  CHECK_FALSE(standard);
  for (std::uint64_t i = 0; i < kPorts; ++i) CHECK(channels[i].port1.receive()->data<std::uint64_t>() == i);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a hundred and twenty-six ports and one more travel in one message") {
  const ManyDescriptors many;
  const PortCensus census;
  for (const std::size_t count : {126U, 127U}) {
    MessageChannel carrier;
    std::vector<MessageChannel> channels(count);
    std::vector<MessagePort> ends;
    for (MessageChannel& channel : channels) ends.push_back(std::move(channel.port2));
    carrier.port1.post_message("many", {.transfer = ends});
    Received received = carrier.port2.receive();
    REQUIRE(received->ports().size() == count);
    received->ports()[count - 1].post_message("the last one works");
    CHECK(channels[count - 1].port1.receive()->text() == "the last one works");
  }
}

TEST_CASE("ports in a message that its receiver never read close with the receiver") {
  const PortCensus census;
  MessageChannel carrier, data;
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(ports[0].receive()->text() == "read only this");
    return 0;
  });
  carrier.port1.post_message("read only this");
  carrier.port1.post_message("not this", {.transfer = {data.port2}});
  CHECK(data.port1.receive().status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}
