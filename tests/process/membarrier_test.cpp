// SPDX-License-Identifier: Apache-2.0

// Without membarrier, as under some containers' filters, everything works: at both ends or at one, refused
// from the program's start on or only later.
#include <cerrno>
#include <cstdint>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include <portolan/portolan.hpp>

#include "os/refused_call.hpp"
#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kMany =
    50'000;  // through a ring of 64 KiB: both ends sleep and wake, again and again
constexpr std::uint64_t kRounds = 3'000;
constexpr std::uint64_t kDeepRounds = 5;

void expect(MessagePort& port, std::uint64_t number) {
  Received received = port.receive_for(kPatience);
  PORTOLAN_CHILD_REQUIRE(received && received->data<std::uint64_t>() == number);
}

// The other end, in a process of its own: reads all, echoes, sleeps deeply, hands a port back.
int answer(MessagePort port) {
  for (std::uint64_t i = 0; i < kMany; ++i) expect(port, i);
  for (std::uint64_t i = 0; i < kMany; ++i)
    PORTOLAN_CHILD_REQUIRE(port.post_message_for(kPatience, i) == PostResult::posted);
  for (std::uint64_t i = 0; i < kRounds + kDeepRounds; ++i) {
    expect(port, i);
    port.post_message(i);
  }
  Received received = port.receive_for(kPatience);
  PORTOLAN_CHILD_REQUIRE(received && received->ports().size() == 1);
  MessagePort moved = std::move(received->ports()[0]);
  moved.on_message<std::uint64_t>([&](std::uint64_t number) {
    moved.post_message(number + 1);
    if (number == kRounds) moved.close();
  });
  EventLoop::current().run();
  PORTOLAN_CHILD_REQUIRE(port.receive_for(kPatience).status() == ReceiveStatus::closed);
  return 0;
}

int talk_to(MessagePort port, pid_t other) {
  for (std::uint64_t i = 0; i < kMany; ++i)
    PORTOLAN_CHILD_REQUIRE(port.post_message_for(kPatience, i) == PostResult::posted);
  for (std::uint64_t i = 0; i < kMany; ++i) expect(port, i);
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    port.post_message(i);
    expect(port, i);
  }
  for (std::uint64_t i = kRounds; i < kRounds + kDeepRounds; ++i) {
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return sleeps_deeply(other); }));
    port.post_message(i);
    expect(port, i);
  }
  MessageChannel moving;
  port.post_message("a port", {.transfer = {moving.port2}});
  std::uint64_t next = 0;
  moving.port1.post_message(next);
  moving.port1.on_message<std::uint64_t>([&](std::uint64_t number) {
    PORTOLAN_CHILD_REQUIRE(number == ++next);
    moving.port1.post_message(next);
  });
  EventLoop::current().run();
  return next == kRounds + 1 ? 0 : 1;
}

enum class Refused { at_start, later, never };

void refuse_membarrier() {
  PORTOLAN_CHILD_REQUIRE(refuse_call(SYS_membarrier, EPERM));
}

// A process that has `port` and does `body` with it, which finds membarrier refused.
ChildProcess start(Refused refused, MessagePort port, const char* body, pid_t other) {
  return fork_with(ports_of(std::move(port)), [=](Ports& ports) {
    if (refused != Refused::never) refuse_membarrier();
    if (refused != Refused::at_start)
      return other == 0 ? answer(std::move(ports[0])) : talk_to(std::move(ports[0]), other);
    // The library asks once, when it is loaded.
    std::map<std::string, MessagePort> left;
    left.emplace("port", std::move(ports[0]));
    const Bequest bequest(std::move(left));
    std::string variable = bequest.variable(), flag = "--portolan-body", name = "test", what = body,
                pid = std::to_string(other);
    char* const arguments[] = {name.data(), flag.data(), what.data(), pid.data(), nullptr};
    char* const environment[] = {variable.data(), nullptr};
    ::execve("/proc/self/exe", arguments, environment);
    return 1;
  });
}

void talk(Refused here, Refused there) {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  ChildProcess answering = start(there, std::move(channel.port2), "answer_without_membarrier", 0);
  ChildProcess talking = start(here, std::move(channel.port1), "talk_without_membarrier", answering.pid());
  CHECK(talking.wait() == ChildExit::exited(0));
  CHECK(answering.wait() == ChildExit::exited(0));
}

}  // namespace

PORTOLAN_BODY(answer_without_membarrier) {
  return answer(std::move(inherited_ports().at("port")));
}

PORTOLAN_BODY(talk_without_membarrier) {
  return talk_to(std::move(inherited_ports().at("port")), std::stoi(arguments[0]));
}

TEST_CASE("two ends that both have membarrier talk, move ports and sleep") {
  talk(Refused::never, Refused::never);
}

TEST_CASE("membarrier refused at one end from its program's start on changes nothing that is seen") {
  talk(Refused::at_start, Refused::never);
  talk(Refused::never, Refused::at_start);
}

TEST_CASE("membarrier refused at both ends from their programs' start on changes nothing that is seen") {
  talk(Refused::at_start, Refused::at_start);
}

TEST_CASE("membarrier refused while a program runs, at one end or both, changes nothing that is seen") {
  talk(Refused::later, Refused::never);
  talk(Refused::never, Refused::later);
  talk(Refused::later, Refused::later);
  talk(Refused::later, Refused::at_start);
}
