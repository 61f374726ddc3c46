// SPDX-License-Identifier: Apache-2.0

// Types of the standard library and Boost's wrappers inside values: round trips, and the bytes that
// docs/values.md promises.
#include <algorithm>
#include <array>
#include <bitset>
#include <boost/serialization/array_wrapper.hpp>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/binary_object.hpp>
#include <chrono>
#include <complex>
#include <deque>
#include <doctest/doctest.h>
#include <filesystem>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// The bytes of a value behind its head.
template <class T>
std::vector<int> bytes_of(const T& value) {
  const Message message = post(value);
  REQUIRE(message.format == Format::value);
  REQUIRE(message.payload.size() >= kValueHeadBytes);
  REQUIRE(std::equal(value_head<T>.begin(), value_head<T>.end(), message.payload.begin()));
  std::vector<int> bytes;
  for (std::size_t i = kValueHeadBytes; i < message.payload.size(); ++i) {
    bytes.push_back(std::to_integer<int>(message.payload[i]));
  }
  return bytes;
}

using Bytes = std::vector<int>;

enum class Colour : std::uint16_t { red = 1, green = 0x0203 };

template <class T>
void check_round_trip(const T& value) {
  CHECK(round_trip(value) == value);
}

struct Point {
  std::int16_t x = 0, y = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& x& y;
  }
  friend bool operator==(const Point&, const Point&) = default;
};

struct Plain3 {
  std::uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(const Plain3&, const Plain3&) = default;
};

struct Money {
  std::int64_t cents = 0;
  friend bool operator==(const Money&, const Money&) = default;
};

}  // namespace

template <>
inline constexpr bool portolan::is_plain<Plain3> = true;

template <>
struct portolan::codec<Money> {
  static void write(const Money& money, Sink& sink) {
    const std::string text = std::to_string(money.cents);
    sink.write(text.data(), text.size());
  }
  static Money read(Source& source) {
    const std::size_t count = source.left();
    return {std::stoll(std::string(reinterpret_cast<const char*>(source.take(count)), count))};
  }
};

TEST_CASE("collections are a size and their elements") {
  CHECK(bytes_of(std::vector<std::int16_t>{1, -2}) == Bytes{2, 1, 0, 0xFE, 0xFF});
  CHECK(bytes_of(std::list<std::int16_t>{1, -2}) == Bytes{2, 1, 0, 0xFE, 0xFF});
  CHECK(bytes_of(std::set<char>{'b', 'a'}) == Bytes{2, 'a', 'b'});
  CHECK(bytes_of(std::map<char, bool>{{'a', true}}) == Bytes{1, 'a', 1});
  CHECK(bytes_of(std::vector<std::string>{"ab", ""}) == Bytes{2, 2, 'a', 'b', 0});
  CHECK(bytes_of(std::vector<Colour>{Colour::green}) == Bytes{1, 3, 2});
  CHECK(bytes_of(std::array<char, 2>{'a', 'b'}) == Bytes{'a', 'b'});
  CHECK(bytes_of(std::vector<Plain3>{{1, 2, 3}, {4, 5, 6}}) == Bytes{2, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("bits are packed, the first one lowest") {
  CHECK(bytes_of(std::bitset<10>(0b10'0000'0110)) == Bytes{6, 2});
  CHECK(bytes_of(std::vector<bool>{false, true, true, false, false, false, false, false, true}) ==
        Bytes{9, 6, 1});
}

TEST_CASE("counts take 7 bits a byte") {
  const auto head_of = [](std::size_t count) {
    Bytes bytes = bytes_of(std::vector<char>(count, 'x'));
    bytes.resize(bytes.size() - count);
    return bytes;
  };
  CHECK(head_of(127) == Bytes{127});
  CHECK(head_of(128) == Bytes{0x80, 1});
  CHECK(head_of(300) == Bytes{0xAC, 2});
  CHECK(head_of(16384) == Bytes{0x80, 0x80, 1});
}

TEST_CASE("a value begins with its encoding and the fingerprint of its type's name") {
  const Message message = post(std::vector<Point>{{1, 2}});
  const std::vector<int> bytes{0x01, 0x2b, 0x60, 0xb0, 0x93, 0x01, 0x00, 0x01, 0x00, 0x02, 0x00};
  REQUIRE(message.payload.size() == bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    CHECK(message.payload[i] == static_cast<std::byte>(bytes[i]));
  CHECK(post(Point{1, 2}).payload[0] == std::byte{0x11});  // an object: its version is next
}

TEST_CASE("objects are their version and what serialize writes") {
  CHECK(bytes_of(Point{1, 2}) == Bytes{0, 1, 0, 2, 0});
  CHECK(bytes_of(std::vector<Point>{{1, 2}, {3, 4}}) == Bytes{2, 0, 1, 0, 2, 0, 0, 3, 0, 4, 0});
}

TEST_CASE("what may be absent is a byte and perhaps a value") {
  CHECK(bytes_of(std::optional<char>()) == Bytes{0});
  CHECK(bytes_of(std::optional<char>('a')) == Bytes{1, 'a'});
  CHECK(bytes_of(std::make_unique<char>('a')) == Bytes{1, 'a'});
  CHECK(bytes_of(std::variant<std::monostate, char>()) == Bytes{0});
  CHECK(bytes_of(std::variant<std::monostate, char>('a')) == Bytes{1, 'a'});
  const auto shared = std::make_shared<char>('a');
  CHECK(bytes_of(std::array{shared, std::shared_ptr<char>(), shared, std::make_shared<char>('b')}) ==
        Bytes{1, 'a', 0, 1, 2, 'b'});
}

TEST_CASE("a codec's bytes inside a value have their length in front") {
  CHECK(bytes_of(std::tuple(Money{42}, 'x')) == Bytes{2, 0, 0, 0, 0, 0, 0, 0, '4', '2', 'x'});
  check_round_trip(std::vector<Money>{{1}, {-123456789}});
}

TEST_CASE("collections come back") {
  check_round_trip(std::vector<int>{});
  check_round_trip(std::vector<double>(100'000, 0.25));
  check_round_trip(std::vector<bool>{true, false, true});
  check_round_trip(std::vector<std::vector<std::string>>{{"a", "b"}, {}, {std::string(1000, 'c')}});
  check_round_trip(std::vector<std::array<std::array<int, 2>, 2>>{{{{{1, 2}}, {{3, 4}}}}});
  check_round_trip(std::vector<std::byte>{std::byte{1}});
  check_round_trip(std::deque<Point>{{1, 2}, {3, 4}});
  check_round_trip(std::list<std::optional<int>>{1, std::nullopt});
  check_round_trip(std::set<std::string>{"a", "b"});
  check_round_trip(std::multiset<int>{1, 1, 2});
  check_round_trip(std::unordered_set<std::string>{"a", "b", "c"});
  check_round_trip(std::unordered_multiset<int>{1, 1});
  check_round_trip(std::map<std::string, std::vector<Point>>{{"a", {{1, 2}}}, {"b", {}}});
  check_round_trip(std::multimap<int, char>{{1, 'a'}, {1, 'b'}});
  check_round_trip(std::unordered_map<std::string, Plain3>{{"a", {1, 2, 3}}, {"b", {}}});
  check_round_trip(std::unordered_multimap<int, int>{{1, 1}, {1, 2}});
  check_round_trip(std::u16string(u"h\u00e9"));
  check_round_trip(std::wstring(L"h\u00e9"));
  check_round_trip(std::bitset<70>("1011"));
}

TEST_CASE("the rest of the standard library comes back") {
  using namespace std::chrono_literals;
  check_round_trip(std::pair<int, std::string>(1, "a"));
  check_round_trip(std::tuple<int, std::string, Point>(1, "a", {2, 3}));
  check_round_trip(std::optional<Point>({1, 2}));
  check_round_trip(std::variant<int, std::string, Point>(Point{1, 2}));
  check_round_trip(std::complex<double>(1, -1));
  check_round_trip(1500ms);
  check_round_trip(std::chrono::duration<long double, std::ratio<60>>(0.5L));
  check_round_trip(std::chrono::system_clock::now());
  check_round_trip(std::tuple(std::filesystem::path("/usr/share")));
  check_round_trip(
      std::vector<std::tuple<bool, char, Colour, float, long double>>{{true, 'a', Colour::red, 1.5F, 2.5L}});
}

TEST_CASE("reading replaces what was there") {
  struct Everything {
    std::vector<int> vector{1, 2, 3};
    std::map<int, int> map{{1, 1}};
    std::optional<int> optional{1};
    std::shared_ptr<int> shared = std::make_shared<int>(1);
    std::unique_ptr<int> unique = std::make_unique<int>(1);
    std::string string = "default";
    void serialize(ValueWriter& archive, unsigned) { archive& vector& map& optional& shared& unique& string; }
    void serialize(ValueReader& archive, unsigned) { archive& vector& map& optional& shared& unique& string; }
  };
  Everything empty;
  empty.vector.clear();
  empty.map.clear();
  empty.optional.reset();
  empty.shared.reset();
  empty.unique.reset();
  empty.string.clear();
  const auto read = receive<Everything>(post(empty));
  CHECK(read.vector.empty());
  CHECK(read.map.empty());
  CHECK_FALSE(read.optional.has_value());
  CHECK(read.shared == nullptr);
  CHECK(read.unique == nullptr);
  CHECK(read.string.empty());
}

TEST_CASE("ports sit anywhere in a value, and the same one twice is refused by its reader") {
  std::map<std::string, std::vector<MessagePort>> ports;
  ports["a"].emplace_back(5);
  ports["a"].emplace_back(6);
  ports["b"].emplace_back(7);
  const Message message = post(std::move(ports));
  CHECK(message.ports == std::vector{5, 6, 7});
  const auto read = receive<std::map<std::string, std::vector<MessagePort>>>(message);
  CHECK(read.at("a").at(1).number() == 6);
  CHECK(read.at("b").at(0).number() == 7);

  const Message alone = post(MessagePort(9));
  CHECK(receive<MessagePort>(alone).number() == 9);
  CHECK_THROWS_AS(post(MessagePort()), DataCloneError);

  std::vector<MessagePort> two;
  two.emplace_back(5);
  two.emplace_back(6);
  Message twice = post(std::move(two));
  twice.payload.back() = std::byte{0};
  CHECK_THROWS_AS(receive<std::vector<MessagePort>>(twice), DataCloneError);
}

namespace {

struct Base {
  int base = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& base;
  }
};

struct Wrapped : Base {
  int raster[2][2] = {};
  int pair[2] = {};
  std::uint8_t blob[3] = {};
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& boost::serialization::base_object<Base>(*this);
    archive& raster& boost::serialization::make_nvp("pair", boost::serialization::make_array(pair, 2));
    archive& boost::serialization::make_binary_object(blob, sizeof blob);
  }
};

// A collection of the user's own, as Boost's documentation writes them; its `serialize` is free.
struct Ring {
  std::vector<Point> points;
};

template <class Archive>
void serialize(Archive& archive, Ring& ring, unsigned) {
  boost::serialization::collection_size_type count(ring.points.size());
  boost::serialization::item_version_type version(0);
  archive& count& version;
  ring.points.resize(std::as_const(count));
  for (Point& point : ring.points) archive& point;
}

}  // namespace

TEST_CASE("bases, arrays and Boost's wrappers come back") {
  Wrapped wrapped;
  wrapped.base = 1;
  wrapped.raster[1][0] = 2;
  wrapped.pair[1] = 3;
  wrapped.blob[2] = 4;
  const Wrapped read = round_trip(wrapped);
  CHECK(read.base == 1);
  CHECK(read.raster[1][0] == 2);
  CHECK(read.pair[1] == 3);
  CHECK(read.blob[2] == 4);
  CHECK(receive<Ring>(post(Ring{{{1, 2}, {3, 4}}})).points == std::vector<Point>{{1, 2}, {3, 4}});
}
