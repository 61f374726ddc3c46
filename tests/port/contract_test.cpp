// SPDX-License-Identifier: Apache-2.0

// What the headers promise of ports that are detached, closed or have only just arrived.
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <functional>
#include <string>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

std::string what_is_thrown(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE(
    "a reservation on a port that is detached or closed is private memory, and its commit does nothing") {
  const PortCensus census;
  MessageChannel closed, moved, carrier;
  MessagePort never;
  closed.port1.close();
  carrier.port1.post_message("away", {.transfer = {moved.port1}});
  for (MessagePort* const port : {&never, &closed.port1, &closed.port2, &moved.port1}) {
    Space space = port->reserve(100'000);
    REQUIRE(space.bytes().size() == 100'000);
    std::memset(space.bytes().data(), 1, space.bytes().size());
    space.commit(50'000);
    CHECK(port->try_reserve(8).has_value());
  }
  CHECK(moved.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("what a reservation throws names the reservation") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10, .label = "tight"});
  {
    const Space open = channel.port1.reserve(8);
    CHECK(what_is_thrown([&] {
            static_cast<void>(channel.port1.reserve(8));
          }).starts_with("reserve(\"tight\")"));
    CHECK(what_is_thrown([&] { channel.port1.post_message("x"); }).starts_with("post_message(\"tight\")"));
  }
  const std::vector<std::byte> part(4000);
  while (channel.port1.try_post_message(part) == PostResult::posted) {
  }
  CHECK(what_is_thrown([&] {
          static_cast<void>(channel.port1.reserve(4000));
        }).starts_with("reserve(\"tight\")"));
}

TEST_CASE("a port that has arrived knows what its former owners have posted, and its peer has not read") {
  const PortCensus census;
  MessageChannel data, carrier;
  for (int i = 0; i < 3; ++i) data.port1.post_message("four");
  CHECK(data.port1.buffered_amount().messages == 3);
  carrier.port1.post_message("here", {.transfer = {data.port1}});
  CHECK(data.port1.buffered_amount().messages == 0);
  const MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  CHECK(arrived.buffered_amount().messages == 3);
  CHECK(arrived.buffered_amount().bytes == 12);
  CHECK(arrived.info().messages_posted == 3);
  CHECK(arrived.info().id == data.port2.info().id);
  CHECK(MessagePort().info().id.empty());
  CHECK(MessagePort().buffered_amount().messages == 0);
}
