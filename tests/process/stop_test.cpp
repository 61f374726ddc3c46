// SPDX-License-Identifier: Apache-2.0

// A process that is stopped for ten seconds is not dead: nobody is told a close, what is posted to it waits,
// and it goes on where it was. Ten seconds of real time, so a program of its own.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <doctest/doctest.h>
#include <thread>
#include <utility>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kUnread = 10'000;
constexpr auto kStopped = 10s;

int echo(MessagePort& port) {
  while (Received received = port.receive()) port.post_message(received->data<std::uint64_t>());
  return 0;
}

void check_echo(MessagePort& port, std::uint64_t number) {
  const bool same = port.receive_for(kPatience)->data<std::uint64_t>() == number;
  REQUIRE(same);
}

}  // namespace

PORTOLAN_BODY(echo_to_parent) {
  MessagePort parent = parent_port();
  return echo(parent);
}

TEST_CASE(
    "a process stopped for ten seconds is not dead for a loop, for a thread that waits, or for its Worker") {
  const PortCensus census;
  MessageChannel in_loop, waited_for, moved, carrier;
  ChildProcess child =
      fork_with(ports_of(std::move(in_loop.port2), std::move(waited_for.port2), std::move(carrier.port2)),
                [](Ports& ports) {
                  const int code = echo(ports[1]);
                  PORTOLAN_CHILD_REQUIRE(ports[2].receive()->ports()[0].receive()->text() == "unread");
                  return code + echo(ports[0]);
                });
  Worker worker("/proc/self/exe", {"--portolan-body", "echo_to_parent"});
  worker.on_exit([] { FAIL("the worker is only stopped"); });
  worker.on_close([](CloseEvent&) { FAIL("the worker is only stopped"); });
  in_loop.port1.on_close([](CloseEvent&) { FAIL("the peer is only stopped"); });
  waited_for.port1.post_message(std::uint64_t{0});
  check_echo(waited_for.port1, 0);

  child.stop();
  REQUIRE(::kill(worker.pid(), SIGSTOP) == 0);
  std::thread waiter(
      [&] { CHECK(waited_for.port1.receive_for(kStopped).status() == ReceiveStatus::timed_out); });
  for (std::uint64_t i = 0; i < kUnread; ++i) in_loop.port1.post_message(i);
  carrier.port1.post_message("a port", {.transfer = {moved.port2}});
  EventLoop::current().run_for(kStopped);
  waiter.join();
  CHECK(in_loop.port1.is_open());
  CHECK(worker.port().is_open());
  CHECK(in_loop.port1.buffered_amount().messages == kUnread);
  CHECK(moved.port1.is_open());

  child.resume();
  REQUIRE(::kill(worker.pid(), SIGCONT) == 0);
  for (std::uint64_t i = 0; i < kUnread; ++i) waited_for.port1.post_message(i);
  for (std::uint64_t i = 0; i < kUnread; ++i) check_echo(waited_for.port1, i);
  moved.port1.post_message("unread");
  waited_for.port1.close();
  for (std::uint64_t i = 0; i < kUnread; ++i) check_echo(in_loop.port1, i);
  in_loop.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
  worker.post_message(std::uint64_t{1});
  check_echo(worker.port(), 1);
  worker.on_exit([] {});
  worker.on_close([](CloseEvent&) {});
  worker.port().close();
  CHECK(worker.wait() == ExitStatus{.exited = true});
}
