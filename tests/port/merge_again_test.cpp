// SPDX-License-Identifier: Apache-2.0

// Ports that are merged when they have been merged before, and with messages from then still unread.
#include <doctest/doctest.h>
#include <string>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

TEST_CASE("where both peers are here, that of the second port changes channels") {
  const PortCensus census;
  MessageChannel first, second;
  const std::string channel = first.port2.info().id, ended = second.port2.info().id;
  merge(std::move(first.port1), std::move(second.port1));
  CHECK(first.port2.info().id == channel);
  CHECK(second.port2.info().id == channel);
  CHECK(channel != ended);
  first.port2.post_message("talk");
  CHECK(second.port2.receive()->text() == "talk");
}

TEST_CASE("a port with messages unread from before a merge is not merged away, in either order") {
  const PortCensus census;
  for (const bool in_order : {true, false}) {
    CAPTURE(in_order);
    MessageChannel first, second, third;
    first.port1.post_message("unread");
    merge(std::move(second.port1), std::move(first.port1));
    second.port2.post_message("behind it");
    MessagePort& one = in_order ? third.port1 : first.port2;
    MessagePort& other = in_order ? first.port2 : third.port1;
    CHECK_THROWS_WITH_AS(merge(std::move(one), std::move(other)), doctest::Contains("unread; receive them"),
                         InvalidStateError);
    CHECK(first.port2.receive()->text() == "unread");
    merge(std::move(one), std::move(other));
    CHECK(third.port2.receive()->text() == "behind it");
    second.port2.post_message("over one hop");
    CHECK(third.port2.receive()->text() == "over one hop");
  }
}

TEST_CASE("a port that changes channels again has what lay unread from both, in order") {
  const PortCensus census;
  MessageChannel first, second, third;
  first.port1.post_message("one");
  merge(std::move(second.port1), std::move(first.port1));
  second.port2.post_message("two");
  merge(std::move(third.port1), std::move(second.port2));
  third.port2.post_message("three");
  for (const char* const text : {"one", "two", "three"}) CHECK(first.port2.receive()->text() == text);
  first.port2.post_message("back");
  CHECK(third.port2.receive()->text() == "back");
}

TEST_CASE("a request that was given up before a merge stays so behind it") {
  const PortCensus census;
  MessageChannel first, second;
  static_cast<void>(first.port2.request("given up"));
  Reply kept = first.port2.request("kept");
  merge(std::move(second.port1), std::move(first.port1));
  second.port2.receive()->reply("late");
  second.port2.receive()->reply("in time");
  CHECK(kept.get().data<std::string>() == "in time");
  CHECK(first.port2.info().late_replies == 1);
}
