// SPDX-License-Identifier: Apache-2.0

// A forked child's copies of its parent's ports: every use says whose port it is, none does harm.
#include <array>
#include <doctest/doctest.h>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// In a child: no doctest there.
bool is_refused(const std::function<void()>& call, const std::string& object) {
  try {
    call();
  } catch (const InvalidStateError& error) {
    const std::string said = error.what();
    return said.find(object) != std::string::npos && said.find("forked child") != std::string::npos &&
           said.find("adopt()") != std::string::npos;
  }
  return false;
}

// Every call that a port has. `object` is what the messages call it.
void use_in_child(MessagePort& port, const std::string& object) {
  const auto refused = [&](const std::function<void()>& call) { return is_refused(call, object); };
  MessageChannel own;
  std::array<Received, 4> batch;
  PORTOLAN_CHILD_REQUIRE(refused([&] { port.post_message("bytes"); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { port.post_message("listed", {.transfer = {own.port1}}); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.try_post_message(std::uint64_t{1})); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.post_message_for(kPatience, "bytes")); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.reserve(100)); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.receive()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.try_receive()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.receive_for(kPatience)); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.receive_batch(batch)); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { port.start(); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { port.on_message([](MessageEvent&) {}); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.native_handle()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.dispatch()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.peer()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.info()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.custody_handle()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(port.drained()); }));
  MessagePort* const only[] = {&port};
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(wait_any(only, kPatience)); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(std::move(port).release()); }));
  PORTOLAN_CHILD_REQUIRE(refused([&] { own.port1.post_message("away", {.transfer = {port}}); }));
  PORTOLAN_CHILD_REQUIRE(own.port1.is_open());
  PORTOLAN_CHILD_REQUIRE(!port.is_open());
  PORTOLAN_CHILD_REQUIRE(port.buffered_amount().messages == 0);
  static_cast<void>(EventLoop::current().poll());
  port.close();
  MessagePort moved = std::move(port);
}

void check_parent_is_untouched(MessageChannel& channel) {
  channel.port1.post_message("there");
  CHECK(channel.port2.receive()->text() == "there");
  channel.port2.post_message("and back");
  CHECK(channel.port1.receive()->text() == "and back");
}

}  // namespace

TEST_CASE("a port in use refuses every call in a forked child by name, and goes on in its parent") {
  const PortCensus census;
  MessageChannel channel({.label = "the parent's"});
  channel.port1.post_message("unread");
  Received in_hand = channel.port2.receive();
  ChildProcess child = ChildProcess::fork([&] {
    use_in_child(channel.port1, "\"the parent's\"");
    use_in_child(channel.port2, "\"the parent's\"");
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(in_hand->text() == "unread");
  check_parent_is_untouched(channel);
}

TEST_CASE("a port that was never used refuses every call in a forked child, and goes on in its parent") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = ChildProcess::fork([&] {
    use_in_child(channel.port1, "channel ");
    use_in_child(channel.port2, "channel ");
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  check_parent_is_untouched(channel);
}

TEST_CASE("a port that a loop serves is not served in a forked child, and goes on in its parent") {
  const PortCensus census;
  MessageChannel channel({.label = "served"});
  std::vector<std::string> got;
  channel.port1.on_message([&](MessageEvent& event) { got.emplace_back(event.text()); });
  channel.port2.post_message("first");
  EventLoop::current().poll();
  channel.port2.post_message("second");
  ChildProcess child = ChildProcess::fork([&] {
    EventLoop::current().poll();
    PORTOLAN_CHILD_REQUIRE(got.size() == 1);
    use_in_child(channel.port1, "\"served\"");
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  EventLoop::current().poll();
  CHECK(got == std::vector<std::string>{"first", "second"});
  check_parent_is_untouched(channel);
}

TEST_CASE("a Space that is open at a fork is the parent's alone") {
  const PortCensus census;
  MessageChannel channel;
  Space space = channel.port1.reserve(4);
  std::fill(space.bytes().begin(), space.bytes().end(), std::byte{'s'});
  ChildProcess child = ChildProcess::fork([&] {
    Space copy = std::move(space);
    try {
      copy.commit(4);
    } catch (const InvalidStateError&) {
      return 0;
    }
    return 1;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  space.commit(4);
  CHECK(channel.port2.receive()->text() == "ssss");
}
