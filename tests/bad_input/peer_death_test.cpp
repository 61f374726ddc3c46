// SPDX-License-Identifier: Apache-2.0

// Posting to a peer that is not there any more: the message is dropped and its list goes down with it.
#include <csignal>
#include <doctest/doctest.h>
#include <unistd.h>
#include <utility>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// A channel whose other end was in a process that was killed, which this end has not noticed.
MessagePort bereaved_port() {
  MessageChannel channel;
  channel.port1.post_message("before");
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    static_cast<void>(ports[0].receive());
    for (;;) ::pause();
    return 0;
  });
  CHECK(child.kill_and_reap() == ChildExit::killed(SIGKILL));
  return std::move(channel.port1);
}

}  // namespace

TEST_CASE(
    "a port posted to a peer that was killed is dropped with its message, and its own peer sees it close") {
  const PortCensus census;
  MessagePort port = bereaved_port();
  MessageChannel data;
  CHECK(port.try_post_message("gone", {.transfer = {data.port1}}) == PostResult::closed);
  CHECK_FALSE(data.port1.is_open());
  CHECK(data.port2.receive().status() == ReceiveStatus::closed);
  CHECK(port.try_post_message("gone too") == PostResult::closed);
}

TEST_CASE("a Space committed with a port to a peer that was killed is dropped likewise") {
  const PortCensus census;
  MessagePort port = bereaved_port();
  MessageChannel data;
  Space space = port.reserve(1000);
  space.commit(1000, {.transfer = {data.port1}});
  CHECK_FALSE(data.port1.is_open());
  CHECK(data.port2.receive().status() == ReceiveStatus::closed);
}
