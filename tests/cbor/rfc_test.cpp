// SPDX-License-Identifier: Apache-2.0

// The examples of RFC 8949, Appendix A, each as what it must be read as, or as what is refused.
#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

#include "cbor/hex.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

Value read(std::string_view hex) {
  return Value::from_cbor(from_hex(hex));
}

struct Example {
  const char* hex;
  Value value;
};

// Read as the value, and the value is written as these bytes.
void written_as(std::initializer_list<Example> examples) {
  for (const Example& example : examples) {
    CAPTURE(example.hex);
    CHECK(read(example.hex) == example.value);
    CHECK(to_hex(example.value.to_cbor()) == example.hex);
  }
}

// Read as the value, which would be written in another way.
void read_as(std::initializer_list<Example> examples) {
  for (const Example& example : examples) {
    CAPTURE(example.hex);
    CHECK(read(example.hex) == example.value);
  }
}

Value date(std::int64_t milliseconds) {
  return Value::Date(std::chrono::milliseconds(milliseconds));
}

}  // namespace

TEST_CASE("integers are read and written in their shortest form") {
  written_as({{"00", 0},
              {"01", 1},
              {"0a", 10},
              {"17", 23},
              {"1818", 24},
              {"1819", 25},
              {"1864", 100},
              {"1903e8", 1000},
              {"1a000f4240", 1000000},
              {"1b000000e8d4a51000", 1000000000000},
              {"1bffffffffffffffff", std::numeric_limits<std::uint64_t>::max()},
              {"3bffffffffffffffff", CborInteger{std::numeric_limits<std::uint64_t>::max(), true}},
              {"20", -1},
              {"29", -10},
              {"3863", -100},
              {"3903e7", -1000},
              {"3b7fffffffffffffff", std::numeric_limits<std::int64_t>::min()}});
  read_as({{"1b0000000000000001", 1}, {"190001", 1}, {"3900ff", -256}});
}

TEST_CASE("floating point numbers are read in each width and written as 8 bytes") {
  const double infinity = std::numeric_limits<double>::infinity();
  written_as({{"fb3ff199999999999a", 1.1},
              {"fb7e37e43c8800759c", 1.0e+300},
              {"fbc010666666666666", -4.1},
              {"fb7ff0000000000000", infinity},
              {"fbfff0000000000000", -infinity}});
  read_as({{"f90000", 0.0},
           {"f98000", -0.0},
           {"f93c00", 1.0},
           {"f93e00", 1.5},
           {"f97bff", 65504.0},
           {"fa47c35000", 100000.0},
           {"fa7f7fffff", 3.4028234663852886e+38},
           {"f90001", 5.960464477539063e-8},
           {"f90400", 0.00006103515625},
           {"f9c400", -4.0},
           {"f97c00", infinity},
           {"f9fc00", -infinity},
           {"fa7f800000", infinity},
           {"faff800000", -infinity}});
  for (const char* const nan : {"f97e00", "fa7fc00000", "fb7ff8000000000000"}) {
    CAPTURE(nan);
    CHECK(std::isnan(read(nan).as_double()));
  }
}

TEST_CASE("simple values are true, false and null, and undefined is read as null") {
  written_as({{"f4", false}, {"f5", true}, {"f6", nullptr}});
  read_as({{"f7", nullptr}});
}

TEST_CASE("strings of bytes and text are read, in pieces too") {
  written_as({{"40", Value::Bytes()},
              {"4401020304", from_hex("01020304")},
              {"60", ""},
              {"6161", "a"},
              {"6449455446", "IETF"},
              {"62225c", "\"\\"},
              {"62c3bc", "\u00fc"},
              {"63e6b0b4", "\u6c34"},
              {"64f0908591", "\U00010151"}});
  read_as({{"5f42010243030405ff", from_hex("0102030405")}, {"7f657374726561646d696e67ff", "streaming"}});
}

TEST_CASE("arrays and maps are read, with and without a length") {
  written_as({{"80", Value::array()},
              {"83010203", Value::array(1, 2, 3)},
              {"8301820203820405", Value::array(1, Value::array(2, 3), Value::array(4, 5))},
              {"a0", Value::map({})},
              {"a201020304", Value::map({{1, 2}, {3, 4}})},
              {"a26161016162820203", Value::map({{"a", 1}, {"b", Value::array(2, 3)}})},
              {"826161a161626163", Value::array("a", Value::map({{"b", "c"}}))},
              {"a56161614161626142616361436164614461656145",
               Value::map({{"a", "A"}, {"b", "B"}, {"c", "C"}, {"d", "D"}, {"e", "E"}})}});
  std::string counting = "9819";
  Value::Array numbers;
  for (int i = 1; i <= 25; ++i) {
    counting += to_hex(Value(i).to_cbor());
    numbers.emplace_back(i);
  }
  CHECK(read(counting) == Value(std::move(numbers)));
  read_as({{"9fff", Value::array()},
           {"9f018202039f0405ffff", Value::array(1, Value::array(2, 3), Value::array(4, 5))},
           {"9f01820203820405ff", Value::array(1, Value::array(2, 3), Value::array(4, 5))},
           {"83018202039f0405ff", Value::array(1, Value::array(2, 3), Value::array(4, 5))},
           {"83019f0203ff820405", Value::array(1, Value::array(2, 3), Value::array(4, 5))},
           {"bf61610161629f0203ffff", Value::map({{"a", 1}, {"b", Value::array(2, 3)}})},
           {"826161bf61626163ff", Value::array("a", Value::map({{"b", "c"}}))},
           {"bf6346756ef563416d7421ff", Value::map({{"Fun", true}, {"Amt", -2}})}});
}

TEST_CASE("dates are read as text and as seconds, and written as seconds") {
  written_as({{"c11a514b67b0", date(1363896240'000)},
              {"c1fb41d452d9ec200000", date(1363896240'500)},
              {"c100", date(0)},
              {"c120", date(-1000)}});
  read_as({{"c074323031332d30332d32315432303a30343a30305a", date(1363896240'000)},
           {"d9d9f7c100", date(0)},
           {"c1f93e00", date(1500)}});
}

TEST_CASE("what CBOR has and a Value has not is refused") {
  for (const char* const hex : {
           "c249010000000000000000",  // bignums
           "c349010000000000000000", "d74401020304", "d818456449455446",
           "d82076687474703a2f2f7777772e6578616d706c652e636f6d",  // tags 23, 24 and 32
           "f0", "f818", "f8ff"                                   // unassigned simple values
       }) {
    CAPTURE(hex);
    CHECK_THROWS_AS(read(hex), DataCloneError);
  }
}
