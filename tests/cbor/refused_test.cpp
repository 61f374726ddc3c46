// SPDX-License-Identifier: Apache-2.0

// CBOR that is cut off, made up or meant to hurt ends in DataCloneError, and so does a Value that nobody
// could read.
#include <chrono>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/message_channel.hpp>
#include <portolan/value.hpp>

#include "cbor/date_text.hpp"
#include "cbor/hex.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

void refuses(std::string_view hex, std::string_view why) {
  CAPTURE(hex);
  try {
    static_cast<void>(Value::from_cbor(from_hex(hex)));
    FAIL_CHECK("it was read");
  } catch (const DataCloneError& error) {
    CHECK(std::string(error.what()).find(why) != std::string::npos);
  }
}

std::string repeated(std::string_view hex, std::size_t times) {
  std::string whole;
  for (std::size_t i = 0; i < times; ++i) whole += hex;
  return whole;
}

}  // namespace

TEST_CASE("a message that is cut off anywhere, or goes on, is refused") {
  const std::string whole = "a26161c1fb41d452d9ec2000006162838219012c7f616161ffff5f4101ff7f6162ff";
  const Value value = Value::from_cbor(from_hex("a26161c1fb41d452d9ec200000616283f5f6f4"));
  CHECK(value.size() == 2);
  const auto bytes = value.to_cbor();
  for (std::size_t length = 0; length < bytes.size(); ++length)
    refuses(to_hex(std::span(bytes).first(length)), "cbor: ");
  refuses(to_hex(bytes) + "00", "more than one item");
  refuses(whole, "cbor: ");
}

TEST_CASE("items that CBOR does not have are refused") {
  for (const char* const head :
       {"1c", "1d", "1e", "1f", "3c", "5c", "7d", "9e", "bc", "dc", "df", "fc", "fd"})
    refuses(head, "cbor: an item");
  refuses("ff", "the end of something that has not begun");
  refuses("81ff", "the end of something that has not begun");
  refuses("a1ff", "the end of something that has not begun");
  refuses("bf01ff", "the end of something that has not begun");
  refuses("5f6161ff", "in pieces of another kind");
  refuses("7f4161ff", "in pieces of another kind");
  refuses("5f5f4101ffff", "in pieces of another kind");
}

TEST_CASE("text is UTF-8, each piece for itself") {
  refuses("61ff", "not UTF-8");
  refuses("62c080", "not UTF-8");      // too long a form
  refuses("63eda080", "not UTF-8");    // half of a pair of UTF-16
  refuses("64f4908080", "not UTF-8");  // past the last code point
  refuses("7f61c361bcff", "not UTF-8");
}

TEST_CASE("a length is believed only as far as there are bytes, and takes no memory") {
  refuses("9bffffffffffffffff", "more elements than bytes");
  refuses("9affffffff00", "more elements than bytes");
  refuses("bbffffffffffffffff", "more elements than bytes");
  refuses("5bffffffffffffffff", "longer than the message");
  refuses("7b7fffffffffffffff61", "longer than the message");
}

TEST_CASE("arrays and maps are nested a thousand deep and no deeper, written or read") {
  Value deep = 1;
  for (std::size_t i = 0; i < Value::kDepthLimit; ++i) deep = Value::array(std::move(deep));
  CHECK(Value::from_cbor(deep.to_cbor()) == deep);
  const Value deeper = Value::array(std::move(deep));
  CHECK_THROWS_AS(static_cast<void>(deeper.to_cbor()), DataCloneError);
  refuses(repeated("81", 1001) + "00", "nested deeper");
  refuses(repeated("9f", 100'000), "nested deeper");
  refuses(repeated("bf00", 100'000), "nested deeper");
  refuses(repeated("c1", 100'000), "no number of seconds");
  refuses(repeated("d9d9f7", 100'000), "tag 55799");
}

TEST_CASE("a map has each key once, in any order, and no containers for keys") {
  CHECK(Value::from_cbor(from_hex("a3030220016000")) == Value::map({{-1, 1}, {3, 2}, {"", 0}}));
  refuses("a201000100", "the same key twice");
  refuses("a20100190001f6", "the same key twice");
  refuses("a18000", "as the key");
  refuses("a1a000", "as the key");
  CHECK_THROWS_AS(static_cast<void>(Value::map({{Value::array(), 1}}).to_cbor()), DataCloneError);
}

TEST_CASE("a date is one that there can be") {
  refuses("c1f97e00", "further from 1970");  // NaN
  refuses("c1f97c00", "further from 1970");  // infinity
  refuses("c11bffffffffffffffff", "further from 1970");
  refuses("c13bffffffffffffffff", "further from 1970");
  refuses("c16130", "no number of seconds");
  refuses("c001", "tag 0");
  CHECK_THROWS_AS(static_cast<void>(Value(Value::Date::max()).to_cbor()), DataCloneError);
  for (const std::int64_t milliseconds :
       {Value::kDateLimit.count(), -Value::kDateLimit.count(), Value::kDateLimit.count() - 1}) {
    const Value date = Value::Date(std::chrono::milliseconds(milliseconds));
    CHECK(Value::from_cbor(date.to_cbor()) == date);
  }
}

TEST_CASE("a date in text is RFC 3339's") {
  using std::chrono::milliseconds;
  const auto parsed = [](std::string_view text) {
    const auto date = cbor::parse_date(text);
    return date ? date->time_since_epoch() : milliseconds(-1);
  };
  CHECK(parsed("1970-01-01T00:00:00Z") == milliseconds(0));
  CHECK(parsed("1970-01-01t01:00:00.0019+01:00") == milliseconds(1));
  CHECK(parsed("1969-12-31 19:30:02.5-04:30") == milliseconds(2500));
  CHECK(parsed("2016-12-31T23:59:60Z") == parsed("2017-01-01T00:00:00Z"));
  CHECK(parsed("2024-02-29T00:00:00Z") > milliseconds(0));
  for (const char* const text :
       {"", "1970-01-01", "1970-01-01T00:00:00", "2023-02-29T00:00:00Z", "1970-00-01T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+01", "1970-01-01T00:00:00ZZ",
        "+970-01-01T00:00:00Z", "1970-1-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(cbor::parse_date(text).has_value());
  }
}

TEST_CASE("a port comes only with a message") {
  MessageChannel channel;
  refuses("da706f727400", "can only come with a message");
  refuses("da706f727420", "tag 1886351988");
  refuses("da706f72741bffffffffffffffff", "absurd index");
  CHECK_THROWS_AS(static_cast<void>(Value(std::move(channel.port1)).to_cbor()), DataCloneError);
}
