// SPDX-License-Identifier: Apache-2.0

// Custody: what a keeper may recover from a dead owner, and what it may not.
#include <csignal>
#include <doctest/doctest.h>

#include "crash/system_calls.hpp"
#include "crash/ward.hpp"

using namespace portolan;
using namespace portolan::testing;

TEST_CASE("custody of a port that has moved on recovers nothing, and its new owner keeps it") {
  const PortCensus census;
  const FileDescriptor dead = pidfd_of_the_dead();
  MessageChannel data, carrier;
  PortHandle custody = data.port1.custody_handle();
  carrier.port1.post_message("on it goes", {.transfer = {data.port1}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  arrived.post_message("mine");
  CHECK_THROWS_AS(static_cast<void>(MessagePort::recover(std::move(custody), dead)), DataCloneError);
  CHECK(data.port2.receive()->text() == "mine");
  data.port2.post_message("yours");
  CHECK(arrived.receive()->text() == "yours");
}

TEST_CASE("custody of a port that was never used stands for the owner that it was made for") {
  const PortCensus census;
  const FileDescriptor dead = pidfd_of_the_dead();
  MessageChannel data, carrier;
  PortHandle custody = data.port1.custody_handle();
  PortHandle again = duplicate(custody);
  carrier.port1.post_message("unused", {.transfer = {data.port1}});
  {
    MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
    arrived.post_message("mine");
    CHECK_THROWS_AS(static_cast<void>(MessagePort::recover(std::move(custody), dead)), DataCloneError);
  }
  CHECK_THROWS_AS(static_cast<void>(MessagePort::recover(std::move(again), dead)), DataCloneError);
}

TEST_CASE("a port whose owner was killed while it moved is not recovered, but can be adopted by who knows") {
  const PortCensus census;
  MessageChannel data, carrier;
  data.port2.post_message("unread");
  Ward ward(ports_of(std::move(data.port1), std::move(carrier.port1)), [](Ports& ports) {
    system_calls().before_send = [] { return kill_me(), 0; };
    ports[1].post_message("on it goes", {.transfer = {ports[0]}});
    return 0;
  });
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  PortHandle& custody = ward.custody(0);
  CHECK_THROWS_AS(static_cast<void>(MessagePort::recover(std::move(custody), ward.pidfd())), DataCloneError);
  REQUIRE(custody);
  MessagePort port = MessagePort::adopt(std::move(custody));
  CHECK(port.receive()->text() == "unread");
  static_cast<void>(ward.recover(1));
}

TEST_CASE("recovering a port whose owner was killed within close() finishes the close") {
  const PortCensus census;
  MessageChannel data;
  Ward ward(ports_of(std::move(data.port1)), [](Ports& ports) {
    ports[0].post_message("last");
    system_calls().before_shutdown = kill_me;
    ports[0].close();
    return 0;
  });
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  MessagePort port = ward.recover(0);
  CHECK_FALSE(port.is_open());
  CHECK(port.receive().status() == ReceiveStatus::closed);
  CHECK(data.port2.receive()->text() == "last");
  CHECK(data.port2.receive().status() == ReceiveStatus::closed);
  CHECK(close_reasons(data.port2) == std::vector{CloseReason::closed});
}
