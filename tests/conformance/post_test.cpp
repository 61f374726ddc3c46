// SPDX-License-Identifier: Apache-2.0

// Posting: what is checked, in which order, and what has become of the list.
#include <boost/serialization/split_member.hpp>
#include <doctest/doctest.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "conformance/deliver.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// A value whose `serialize` counts how often it was asked, and may fail as a getter would.
struct Looked {
  int* times = nullptr;
  bool throws = false;

  template <class Archive>
  void save(Archive& archive, unsigned) const {
    ++*times;
    if (throws) throw std::domain_error("the getter's");
    archive << 7;
  }
  template <class Archive>
  void load(Archive& archive, unsigned) {
    int ignored = 0;
    archive >> ignored;
  }
  BOOST_SERIALIZATION_SPLIT_MEMBER()
};

struct Envelope {
  std::string text;
  MessagePort port;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text& port;
  }
};

struct Node {
  std::shared_ptr<Node> next;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& next;
  }
};

struct Shape {
  virtual ~Shape() = default;
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};
struct Circle : Shape {};

}  // namespace

TEST_CASE("[M17] the port that is posted on in its own list is refused before anything is looked at") {
  const PortCensus census;
  MessageChannel channel, other;
  int looked = 0;
  CHECK_THROWS_AS(channel.port1.post_message(Looked{&looked}, {.transfer = {other.port1, channel.port1}}),
                  DataCloneError);
  CHECK(looked == 0);
  CHECK(other.port1.is_open());
  channel.port1.post_message("works");
  CHECK(channel.port2.try_receive()->text() == "works");
}

TEST_CASE("[M18] a list with the port's own peer is taken, and the message and the channel are lost") {
  const PortCensus census;
  MessageChannel channel, along;
  CHECK(channel.port1.try_post_message("doomed", {.transfer = {channel.port2, along.port1}}) ==
        PostResult::closed);
  CHECK_FALSE(channel.port2.is_open());
  CHECK_FALSE(along.port1.is_open());
  CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(along.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
}

TEST_CASE("[M19] a post on a closed port still checks its list, and still detaches it") {
  const PortCensus census;
  MessageChannel closed, other;
  closed.port2.close();
  CHECK_THROWS_AS(closed.port1.post_message("x", {.transfer = {other.port1, other.port1}}), DataCloneError);
  CHECK(other.port1.is_open());
  int looked = 0;
  CHECK(closed.port1.try_post_message(Looked{&looked}, {.transfer = {other.port1}}) == PostResult::closed);
  CHECK(looked == 1);
  CHECK_FALSE(other.port1.is_open());
  CHECK(other.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
}

TEST_CASE("[M20] a post after either end was closed throws nothing and delivers nothing") {
  const PortCensus census;
  MessageChannel here, there;
  Log log;
  here.port2.on_message([&](MessageEvent&) { log.emplace_back("message"); });
  here.port1.close();
  here.port1.post_message("x");
  there.port2.close();
  there.port1.post_message("x");
  deliver();
  CHECK(log.empty());
}

TEST_CASE("[M21] a value is written within the post: later changes are not seen") {
  const PortCensus census;
  MessageChannel channel;
  std::vector<std::string> value{"before"};
  channel.port1.post_message(value);
  value[0] = "after";
  std::string text = "before, as text";
  channel.port1.post_message(text);
  text = "after";
  CHECK(channel.port2.try_receive()->data<std::vector<std::string>>() == std::vector<std::string>{"before"});
  CHECK(channel.port2.try_receive()->text() == "before, as text");
}

TEST_CASE("[M22] a post says nothing, and never waits for its reader") {
  const PortCensus census;
  MessageChannel channel;
  static_assert(std::is_void_v<decltype(channel.port1.post_message("x"))>);
  for (std::uint64_t i = 0; i < 100'000; ++i) channel.port1.post_message(i);
  CHECK(channel.port1.buffered_amount().messages == 100'000);
  for (std::uint64_t i = 0; i < 100'000; ++i)
    if (channel.port2.try_receive()->data<std::uint64_t>() != i) FAIL("message " << i);
}

TEST_CASE("[M23] a message goes to the peer of its post, wherever that is when it is delivered") {
  const PortCensus census;
  MessageChannel channel, carrier;
  channel.port1.post_message("on its way");
  carrier.port1.post_message("go", {.transfer = {channel.port2}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  Log log;
  log_events(arrived, log);
  deliver();
  CHECK(log == Log{"on its way"});
}

TEST_CASE("[M24] what cannot be transferred is no list entry; an empty descriptor is refused") {
  const PortCensus census;
  static_assert(!std::is_constructible_v<Transferable, std::string&>);
  static_assert(!std::is_constructible_v<Transferable, MessageChannel&>);
  MessageChannel channel;
  FileDescriptor empty;
  CHECK_THROWS_AS(channel.port1.post_message("x", {.transfer = {empty}}), DataCloneError);
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("[M25] shared memory in the list is refused; inside a value it is shared") {
  const PortCensus census;
  MessageChannel channel;
  SharedBuffer buffer(4096);
  SharedBuffer memory = buffer.shared();
  int looked = 0;
  CHECK_THROWS_AS(channel.port1.post_message(Looked{&looked}, {.transfer = {memory}}), DataCloneError);
  CHECK(looked == 0);
  CHECK(memory.size() == 4096);
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("[M26] one object twice in the list is refused before the value is looked at") {
  const PortCensus census;
  MessageChannel channel, other;
  int looked = 0;
  CHECK_THROWS_AS(channel.port1.post_message(Looked{&looked}, {.transfer = {other.port1, other.port1}}),
                  DataCloneError);
  CHECK(looked == 0);
  CHECK(other.port1.is_open());
}

TEST_CASE("[M27] what the value throws comes out unchanged, and before a detached port in the list") {
  const PortCensus census;
  MessageChannel channel;
  MessagePort detached;
  int looked = 0;
  CHECK_THROWS_WITH_AS(channel.port1.post_message(Looked{&looked, true}, {.transfer = {detached}}),
                       "the getter's", std::domain_error);
  CHECK(looked == 1);
  CHECK_THROWS_AS(channel.port1.post_message(Looked{&looked}, {.transfer = {detached}}), DataCloneError);
  CHECK(looked == 2);
}

TEST_CASE("[M28] of a list with a detached port nothing is transferred") {
  const PortCensus census;
  MessageChannel channel, first;
  MessagePort detached;
  CHECK_THROWS_AS(channel.port1.post_message("x", {.transfer = {first.port1, detached}}), DataCloneError);
  CHECK(first.port1.is_open());
}

TEST_CASE("[M29] a closed port cannot be transferred, its former peer can") {
  const PortCensus census;
  MessageChannel channel, carrier;
  channel.port1.close();
  CHECK_THROWS_AS(carrier.port1.post_message("x", {.transfer = {channel.port1}}), DataCloneError);
  carrier.port1.post_message("x", {.transfer = {channel.port2}});
  CHECK(carrier.port2.try_receive()->ports().size() == 1);
}

TEST_CASE("[M30] a port in a value that is posted as an lvalue must be in the list") {
  const PortCensus census;
  MessageChannel carrier, channel;
  Envelope envelope{"x", std::move(channel.port1)};
  CHECK_THROWS_AS(carrier.port1.post_message(envelope), DataCloneError);
  CHECK(envelope.port.is_open());
  carrier.port1.post_message(envelope, {.transfer = {envelope.port}});
  CHECK(carrier.port2.try_receive()->data<Envelope>().port.is_open());
}

TEST_CASE("[M31] a listed port that the value does not mention arrives among the ports") {
  const PortCensus census;
  MessageChannel carrier, channel;
  carrier.port1.post_message("no mention", {.transfer = {channel.port1}});
  Received received = carrier.port2.try_receive();
  REQUIRE(received->ports().size() == 1);
  received->ports()[0].post_message("works");
  CHECK(channel.port2.try_receive()->text() == "works");
}

TEST_CASE("[M32] a port both listed and in the value is one port, in the value and in its slot") {
  const PortCensus census;
  MessageChannel carrier, channel, other;
  Envelope envelope{"x", std::move(channel.port1)};
  carrier.port1.post_message(envelope, {.transfer = {other.port1, envelope.port}});
  Received received = carrier.port2.try_receive();
  REQUIRE(received->ports().size() == 2);
  Envelope read = received->data<Envelope>();
  CHECK(received->ports()[0].is_open());
  CHECK_FALSE(received->ports()[1].is_open());  // it is the one in the value now
  read.port.post_message("works");
  CHECK(channel.port2.try_receive()->text() == "works");
}

TEST_CASE("[M33] shared and circular references in a value arrive as they were") {
  const PortCensus census;
  MessageChannel channel;
  const auto first = std::make_shared<Node>();
  first->next = std::make_shared<Node>(Node{first});
  channel.port1.post_message(std::vector{first, first});
  first->next->next.reset();
  const auto read = channel.port2.try_receive()->data<std::vector<std::shared_ptr<Node>>>();
  CHECK(read[0] == read[1]);
  CHECK(read[0]->next->next == read[0]);
  read[0]->next->next.reset();
}

TEST_CASE("[M34] what cannot be cloned is refused, and nothing is posted") {
  const PortCensus census;
  MessageChannel channel, listed;
  CHECK_THROWS_AS(channel.port1.post_message(std::shared_ptr<Shape>(std::make_shared<Circle>()),
                                             {.transfer = {listed.port1}}),
                  DataCloneError);
  CHECK(listed.port1.is_open());
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
}
