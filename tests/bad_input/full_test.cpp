// SPDX-License-Identifier: Apache-2.0

// Peers that do not read: the limit of bytes and the socket's room for ports. Everything stays with the
// caller until there is room.
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

TEST_CASE("at the limit a post says whose limit it is, keeps its list, and works once the peer has read") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10, .label = "narrow"});
  MessageChannel data;
  const std::string text(5000, 't');
  std::size_t posted = 0;
  while (channel.port1.try_post_message(text) == PostResult::posted) ++posted;
  CHECK(posted > 4);
  check_names(said_by<QueueFullError>([&] { channel.port1.post_message(text, {.transfer = {data.port1}}); }),
              {"post_message(", "\"narrow\"", "65536 bytes", "post_message_for()", "limit_bytes"});
  CHECK(channel.port1.post_message_for(std::chrono::milliseconds(1), text, {.transfer = {data.port1}}) ==
        PostResult::timed_out);
  check_names(said_by<QueueFullError>([&] { static_cast<void>(channel.port1.reserve(5000)); }),
              {"\"narrow\"", "limit_bytes"});
  CHECK_FALSE(channel.port1.try_reserve(5000));
  data.port1.post_message("still here");
  CHECK(data.port2.receive()->text() == "still here");
  for (; posted > 0; --posted) CHECK(channel.port2.receive()->text() == text);
  channel.port1.post_message(text, {.transfer = {data.port1}});
  Received received = channel.port2.receive();
  CHECK(received->text() == text);
  received->ports()[0].post_message("it works");
  CHECK(data.port2.receive()->text() == "it works");
}

TEST_CASE("more unread messages with ports than the socket holds are refused, and those before all arrive") {
  const PortCensus census;
  const ManyDescriptors many;
  MessageChannel channel({.label = "ports"});
  std::vector<MessageChannel> sent;
  for (;;) {
    MessageChannel& data = sent.emplace_back();
    if (channel.port1.try_post_message(sent.size(), {.transfer = {data.port1}}) == PostResult::full) break;
  }
  MessageChannel refused = std::move(sent.back());
  sent.pop_back();
  CHECK(sent.size() > 20);
  check_names(
      said_by<QueueFullError>([&] { channel.port1.post_message("no", {.transfer = {refused.port1}}); }),
      {"post_message(", "\"ports\"", "the socket's room for ports", "post_message_for()"});
  channel.port1.post_message("one without a port still fits");
  for (std::size_t i = 0; i < sent.size(); ++i) {
    Received received = channel.port2.receive();
    REQUIRE(received->data<std::size_t>() == i + 1);
    received->ports()[0].post_message(i);
    CHECK(sent[i].port2.receive()->data<std::size_t>() == i);
  }
  CHECK(channel.port2.receive()->text() == "one without a port still fits");
  channel.port1.post_message("now", {.transfer = {refused.port1}});
  CHECK(channel.port2.receive()->ports().size() == 1);
}

TEST_CASE("a port that is served by a loop and finds no room to leave goes on being served") {
  const PortCensus census;
  MessageChannel carrier({.limit_bytes = 64 << 10}), data;
  const std::string text(5000, 't');
  while (carrier.port1.try_post_message(text) == PostResult::posted) {
  }
  std::vector<std::string> got;
  data.port1.on_message([&](MessageEvent& event) { got.emplace_back(event.text()); });
  CHECK_THROWS_AS(carrier.port1.post_message(text, {.transfer = {data.port1}}), QueueFullError);
  data.port2.post_message("served");
  EventLoop::current().poll();
  CHECK(got == std::vector<std::string>{"served"});
}
