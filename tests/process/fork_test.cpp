// SPDX-License-Identifier: Apache-2.0

// A process that forks keeps its ports, and the child has none: what it does with the objects it was born
// with reaches nobody, and what it holds keeps no channel open.
#include <array>
#include <csignal>
#include <cstdint>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Sockets and memory files, whoever made them.
std::size_t channel_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with("socket:") || target.find("memfd:") != std::string::npos) ++count;
  }
  return count;
}

template <class F>
bool refused(F&& use) {
  try {
    use();
    return false;
  } catch (const InvalidStateError&) {
    return true;
  }
}

int sleep_until_killed() {
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("a forked child that adopts nothing has no port, and what it tries reaches nobody") {
  const PortCensus census;
  const std::size_t before = channel_descriptors();
  MessageChannel used, unused;
  used.port1.post_message("from the parent");
  CHECK(used.port2.receive()->text() == "from the parent");
  used.port1.post_message("unread at the fork");
  ChildProcess child = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(channel_descriptors() == before);
    for (MessagePort* const port : {&used.port1, &used.port2, &unused.port1, &unused.port2}) {
      PORTOLAN_CHILD_REQUIRE(!port->is_open());
      PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port->try_post_message("from the child")); }));
      PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port->receive()); }));
      PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port->try_receive()); }));
      PORTOLAN_CHILD_REQUIRE(refused([&] { port->on_message([](MessageEvent&) {}); }));
      port->close();
    }
    EventLoop::current().run();
    for (MessagePort* const port : {&used.port1, &unused.port2}) *port = {};
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(used.port2.receive()->text() == "unread at the fork");
  CHECK(used.port2.try_receive().status() == ReceiveStatus::empty);
  used.port2.post_message("back");
  CHECK(used.port1.receive()->text() == "back");
  unused.port1.post_message("the first use");
  CHECK(unused.port2.receive()->text() == "the first use");
}

TEST_CASE("a close is seen by the peer although forked children of its owner live on") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("used");
  ChildProcess child = ChildProcess::fork(sleep_until_killed);
  ChildProcess peer = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(ports[0].receive()->text() == "used");
    PORTOLAN_CHILD_REQUIRE(ports[0].receive().status() == ReceiveStatus::closed);
    return 0;
  });
  ChildProcess later = ChildProcess::fork(sleep_until_killed);
  channel.port1.close();
  CHECK(peer.wait() == ChildExit::exited(0));
}

TEST_CASE("the death of an owner is seen by the peer although forked children of that owner live on") {
  const PortCensus census;
  MessageChannel channel;
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  ChildProcess owner = fork_with(ports_of(std::move(channel.port2)), [&](Ports& ports) {
    ports[0].post_message("mine");
    const pid_t child = ::fork();
    if (child == 0) return sleep_until_killed();
    PORTOLAN_CHILD_REQUIRE(::write(pipe[1], &child, sizeof child) == sizeof child);
    return sleep_until_killed();
  });
  pid_t grandchild = 0;
  REQUIRE(::read(pipe[0], &grandchild, sizeof grandchild) == sizeof grandchild);
  owner.kill_and_reap();
  CHECK(channel.port1.receive()->text() == "mine");
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(::kill(grandchild, SIGKILL) == 0);
  for (const int end : pipe) ::close(end);
}

TEST_CASE("a child forked while messages with ports are received keeps none of them open") {
  const PortCensus census;
  MessageChannel carrier, data;
  carrier.port1.post_message("a port", {.transfer = {data.port2}});
  Received received = carrier.port2.receive();
  ChildProcess child = ChildProcess::fork(sleep_until_killed);
  received = Received();
  CHECK(data.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE(
    "a loop that has ports and timers starts anew and empty in a forked child, and goes on in the parent") {
  const PortCensus census;
  MessageChannel channel;
  std::uint64_t got = 0;
  channel.port2.on_message<std::uint64_t>([&](std::uint64_t number) {
    got += number;
    if (number == 2) channel.port2.close();
  });
  channel.port1.post_message(std::uint64_t{1});
  CHECK(EventLoop::current().poll() == 1);
  bool ran = false;
  EventLoop::current().post([&] { ran = true; });
  ChildProcess child = ChildProcess::fork([&] {
    EventLoop::current().run();  // nothing is there
    PORTOLAN_CHILD_REQUIRE(!ran && got == 1);
    MessageChannel own;
    own.port2.on_message([&](MessageEvent&) { own.port2.close(); });
    own.port1.post_message("the child's own");
    EventLoop::current().run();
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  channel.port1.post_message(std::uint64_t{2});
  EventLoop::current().run();
  CHECK(ran);
  CHECK(got == 3);
}

TEST_CASE("events that live at a fork can be read and destroyed in the child, and change nothing") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("in hand");
  channel.port1.post_message(pattern(100'000, 7));
  Received first = channel.port2.receive();
  Message kept = (*std::move(first)).keep();
  Received second = channel.port2.receive();
  ChildProcess child = ChildProcess::fork([&] {
    first = Received();
    second = Received();
    kept = Message();
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(kept.text() == "in hand");
  CHECK(second->bytes().size() == 100'000);
  channel.port1.post_message("after");
  CHECK(channel.port2.receive()->text() == "after");
}

TEST_CASE("a forked child that adopts a port hands it on to a child of its own") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("for the grandchild");
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    ChildProcess grandchild = fork_with(ports_of(std::move(ports[0])), [](Ports& inner) {
      PORTOLAN_CHILD_REQUIRE(inner[0].receive()->text() == "for the grandchild");
      inner[0].post_message("it has it");
      return 0;
    });
    PORTOLAN_CHILD_REQUIRE(grandchild.wait() == ChildExit::exited(0));
    return 0;
  });
  CHECK(channel.port1.receive()->text() == "it has it");
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}
