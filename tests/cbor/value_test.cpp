// SPDX-License-Identifier: Apache-2.0

// A Value as its users meet it: made, asked, posted through a channel, with ports in it.
#include <chrono>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/message_channel.hpp>
#include <portolan/value.hpp>
#include <portolan/values.hpp>

#include "cbor/hex.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;
using Kind = Value::Kind;

namespace {

Value message_of(MessagePort& port) {
  return port.receive()->data<Value>();
}

// A struct of C++ peers with a part whose shape they do not know.
struct Envelope {
  std::string name;
  Value content;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& content;
  }
};

}  // namespace

TEST_CASE("a value says of what kind it is, and is read as that kind only") {
  CHECK(Value().is_null());
  CHECK(Value(true).as_bool());
  CHECK(Value(5).as_integer() == 5);
  CHECK(Value(2.5F).as_double() == 2.5);
  CHECK(Value("text").as_string() == "text");
  CHECK(Value(std::vector<std::byte>(3)).as_bytes().size() == 3);
  CHECK(Value::array(1, "two").as_array().size() == 2);
  CHECK(Value::map({{"a", 1}}).as_map().size() == 1);
  CHECK(Value(MessagePort()).kind() == Kind::port);
  CHECK_THROWS_WITH_AS(static_cast<void>(Value("5").as_integer()),
                       "value: it is of kind string, read as integer", DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(5).as_bool()), DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(5).as_map()), DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(5).size()), DataCloneError);
}

TEST_CASE("an integer is read as any type that it fits into") {
  CHECK(Value(-128).as_integer<std::int8_t>() == -128);
  CHECK_THROWS_AS(static_cast<void>(Value(-129).as_integer<std::int8_t>()), DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(-1).as_integer<std::uint64_t>()), DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(256).as_integer<std::uint8_t>()), DataCloneError);
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHighest = std::numeric_limits<std::uint64_t>::max();
  CHECK(Value(kLowest).as_integer() == kLowest);
  CHECK(Value(kHighest).as_integer<std::uint64_t>() == kHighest);
  CHECK_THROWS_AS(static_cast<void>(Value(kHighest).as_integer()), DataCloneError);
  CHECK_THROWS_AS(static_cast<void>(Value(CborInteger{kHighest, true}).as_integer()), DataCloneError);
  CHECK(Value(-3).as_double() == -3.0);
  CHECK_THROWS_AS(static_cast<void>(Value(kHighest).as_double()), DataCloneError);
}

TEST_CASE("elements and entries are found, and what is missing is named") {
  Value job = Value::map({{"scene", "harbour"}, {"lines", Value::array(10, 20)}, {7, "a number as key"}});
  CHECK(job.size() == 3);
  CHECK(job.at("lines").at(1).as_integer<int>() == 20);
  CHECK(job.find(7)->as_string() == "a number as key");
  CHECK(job.find("colour") == nullptr);
  job.at("scene") = "lighthouse";
  job.as_map()["colour"] = "red";
  job.at("lines").as_array().emplace_back(30);
  CHECK(job == Value::map({{"scene", "lighthouse"},
                           {"lines", Value::array(10, 20, 30)},
                           {7, "a number as key"},
                           {"colour", "red"}}));
  CHECK_THROWS_WITH_AS(static_cast<void>(job.at("size")), "value: a map without the key 'size'",
                       DataCloneError);
  CHECK_THROWS_WITH_AS(static_cast<void>(job.at("lines").at(3)), "value: element 3 of an array of 3",
                       DataCloneError);
}

TEST_CASE("values have one order, in which what would be written alike is equal") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(Value(nan) == Value(nan));
  CHECK(Value(0.0) != Value(-0.0));
  CHECK(Value(0.0) != Value(0));
  CHECK(Value(std::int64_t{5}) == Value(std::uint8_t{5}));
  CHECK(Value(-2) < Value(-1));
  CHECK(Value(-1) < Value(0));
  CHECK(Value("ab") < Value("b"));
  CHECK(Value::array(1, 2) < Value::array(1, 3));
  CHECK(Value::array(1) != Value::map({{0, 1}}));
  CHECK(Value(MessagePort()) != Value(MessagePort()));
}

TEST_CASE("a value goes through a channel with a port in it") {
  const PortCensus census;
  MessageChannel channel, answer;
  const auto today = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  channel.port1.post_message(Value::map(
      {{"scene", "harbour"}, {"since", today}, {"replies", Value::array(nullptr, std::move(answer.port2))}}));
  CHECK_FALSE(answer.port2.is_open());
  Value job = message_of(channel.port2);
  CHECK(job.at("scene").as_string() == "harbour");
  CHECK(job.at("since").as_date() == today);
  MessagePort reply = std::move(job.at("replies").at(1).as_port());
  reply.post_message(Value("done"));
  CHECK(message_of(answer.port1) == "done");
}

TEST_CASE("a port in a value that is posted as an lvalue must be listed, and an exception moves nothing") {
  const PortCensus census;
  MessageChannel channel, answer;
  Value job = Value::array(std::move(answer.port2), "to do");
  CHECK_THROWS_AS(channel.port1.post_message(job), DataCloneError);
  CHECK(job.at(0).as_port().is_open());

  Value spoilt = Value::array(std::move(job.at(0).as_port()), "\xff");
  CHECK_THROWS_AS(channel.port1.post_message(std::move(spoilt)), DataCloneError);
  CHECK(spoilt.at(0).as_port().is_open());

  spoilt.at(1) = "text";
  channel.port1.post_message(spoilt, {.transfer = {spoilt.at(0).as_port()}});
  CHECK_FALSE(spoilt.at(0).as_port().is_open());
  Value received = message_of(channel.port2);
  received.at(0).as_port().post_message("hello");
  CHECK(answer.port1.receive()->text() == "hello");
}

TEST_CASE("a message is a Value only if it was posted as one, and a failed read leaves its ports") {
  const PortCensus census;
  MessageChannel channel, answer;
  channel.port1.post_message(Value::array(std::move(answer.port2)));
  Received received = channel.port2.receive();
  CHECK(received->format() == Format::cbor);
  CHECK(received->is<Value>());
  CHECK_THROWS_WITH_AS(static_cast<void>(received->data<std::string>()), "value: sent: cbor, read as: text",
                       DataCloneError);
  CHECK(received->ports().size() == 1);
  CHECK(received->ports()[0].is_open());
  channel.port1.post_message("text");
  CHECK_FALSE(channel.port2.receive()->is<Value>());
}

TEST_CASE("ports come out where they went in, whatever their order in the list") {
  const PortCensus census;
  MessageChannel channel, first, second;
  Value ports = Value::map({{"first", std::move(first.port2)}, {"second", std::move(second.port2)}});
  channel.port1.post_message(ports,
                             {.transfer = {ports.at("second").as_port(), ports.at("first").as_port()}});
  Value received = message_of(channel.port2);
  received.at("first").as_port().post_message("1");
  received.at("second").as_port().post_message("2");
  CHECK(first.port1.receive()->text() == "1");
  CHECK(second.port1.receive()->text() == "2");
}

TEST_CASE("a value inside a struct goes along with its port") {
  const PortCensus census;
  MessageChannel channel, answer;
  channel.port1.post_message(Envelope{"order", Value::array(1, std::move(answer.port2))});
  auto envelope = channel.port2.receive()->data<Envelope>();
  CHECK(envelope.name == "order");
  CHECK(envelope.content.at(0).as_integer() == 1);
  CHECK(envelope.content.at(1).as_port().is_open());
}

TEST_CASE("a value of a foreign peer is read like anybody's") {
  const PortCensus census;
  MessageChannel channel({.trust = Trust::foreign});
  channel.port1.post_message(Value::map({{"a", Value::array(1, 2.5, "three")}}));
  CHECK(message_of(channel.port2) == Value::map({{"a", Value::array(1, 2.5, "three")}}));
}

TEST_CASE("bytes that another program has written come as bytes, and are read from them") {
  MessageChannel channel;
  channel.port1.post_message(from_hex("a26161016162820203"));
  Received received = channel.port2.receive();
  CHECK(Value::from_cbor(received->bytes()) == Value::map({{"a", 1}, {"b", Value::array(2, 3)}}));
}
