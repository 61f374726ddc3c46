// SPDX-License-Identifier: Apache-2.0

// What is written how, and the four formats that need no Boost: this file does without <portolan/values.hpp>.
#include <cmath>
#include <cstdint>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <vector>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Vec3 {
  float x, y, z;
};

struct Pixels {  // plain, but what it says for itself comes first
  std::uint32_t rgba;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& rgba;
  }
};

struct Compressed {
  std::string text;
};

enum class Colour : std::uint8_t { red = 1, green = 2 };

struct Chatty {
  operator std::string_view() const { return "chatty"; }
};

}  // namespace

template <>
inline constexpr bool portolan::is_plain<Vec3> = true;
template <>
inline constexpr bool portolan::is_plain<Pixels> = true;

// Runs of one letter, as letter and length.
template <>
struct portolan::codec<Compressed> {
  static void write(const Compressed& compressed, Sink& sink) {
    const std::string& text = compressed.text;
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i;
      while (end < text.size() && text[end] == text[i] && end - i < 255) ++end;
      std::byte* run = sink.append(2);
      run[0] = static_cast<std::byte>(text[i]);
      run[1] = static_cast<std::byte>(end - i);
      i = end;
    }
  }
  static Compressed read(Source& source) {
    Compressed compressed;
    while (source.left() != 0) {
      const std::byte* run = source.take(2);
      if (run[1] == std::byte{0}) throw std::runtime_error("a run of nothing");
      compressed.text.append(std::to_integer<std::size_t>(run[1]), static_cast<char>(run[0]));
    }
    return compressed;
  }
};

static_assert(format_of<std::vector<std::byte>>() == Format::bytes);
static_assert(format_of<std::span<const std::byte>>() == Format::bytes);
static_assert(format_of<std::array<std::byte, 4>>() == Format::bytes);
static_assert(format_of<std::byte[4]>() == Format::bytes);
static_assert(format_of<std::string>() == Format::text);
static_assert(format_of<std::string_view>() == Format::text);
static_assert(format_of<std::u8string>() == Format::text);
static_assert(format_of<const char*>() == Format::text);
static_assert(format_of<char[6]>() == Format::text);
static_assert(format_of<Chatty>() == Format::text);
static_assert(format_of<Compressed>() == Format::custom);
static_assert(format_of<int>() == Format::number);
static_assert(format_of<std::byte>() == Format::number);
static_assert(format_of<Colour>() == Format::number);
static_assert(format_of<Vec3>() == Format::plain);
static_assert(format_of<Pixels>() == Format::value);
static_assert(format_of<std::vector<char>>() == Format::value);
static_assert(format_of<std::u16string>() == Format::value);

TEST_CASE("bytes and text are the payload as it is") {
  const std::array bytes{std::byte{0}, std::byte{1}, std::byte{255}};
  CHECK(post(bytes).payload == std::vector(bytes.begin(), bytes.end()));
  CHECK(receive<std::array<std::byte, 3>>(post(std::span(bytes))) == bytes);
  CHECK(receive<std::vector<std::byte>>(post(bytes)) == std::vector(bytes.begin(), bytes.end()));
  CHECK(receive<std::vector<std::byte>>(post(std::vector<std::byte>())).empty());

  CHECK(post("hello").payload.size() == 5);
  CHECK(receive<std::string>(post("hello")) == "hello");
  CHECK(receive<std::string>(post(Chatty())) == "chatty");
  CHECK(receive<std::u8string>(post(std::string("h\u00e9"))) == u8"h\u00e9");
  CHECK(receive<std::string>(post(std::u8string(u8"h\u00e9"))) == "h\u00e9");
  CHECK(receive<std::string>(post(std::string("a\0b", 3))) == std::string("a\0b", 3));
}

TEST_CASE("an array of bytes takes a message of just its size") {
  const Message message = post(std::array<std::byte, 3>());
  CHECK_THROWS_AS((receive<std::array<std::byte, 2>>(message)), DataCloneError);
  CHECK_THROWS_AS((receive<std::array<std::byte, 4>>(message)), DataCloneError);
}

TEST_CASE("a message is not read in another format than its own") {
  CHECK_THROWS_WITH_AS(receive<std::string>(post(5)), "value: sent: number, read as: text", DataCloneError);
  CHECK_THROWS_AS(receive<std::vector<std::byte>>(post("hello")), DataCloneError);
  CHECK_THROWS_AS(receive<int>(post("hello")), DataCloneError);
  CHECK_THROWS_AS(receive<Vec3>(post(5)), DataCloneError);
  CHECK_THROWS_AS(receive<Compressed>(post("hello")), DataCloneError);
}

TEST_CASE_TEMPLATE("numbers come back with all their bits", T, bool, char, signed char, unsigned char,
                   char8_t, char16_t, char32_t, wchar_t, short, unsigned short, int, unsigned, long,
                   unsigned long, long long, unsigned long long, float, double, long double) {
  using Limits = std::numeric_limits<T>;
  for (const T value : {Limits::lowest(), Limits::min(), Limits::max(), Limits::epsilon(), T(), T(1),
                        Limits::denorm_min(), Limits::infinity()}) {
    CHECK(round_trip(value) == value);
  }
  CHECK(post(T()).payload.size() == 1 + sizeof(T));
}

TEST_CASE("numbers that equal nothing or have a sign at zero come back, too") {
  CHECK(std::isnan(round_trip(std::numeric_limits<double>::quiet_NaN())));
  CHECK(std::isnan(round_trip(std::numeric_limits<long double>::quiet_NaN())));
  CHECK(std::signbit(round_trip(-0.0L)));
  CHECK(round_trip(-1.0L / 3) == -1.0L / 3);
}

TEST_CASE("long double is IEEE binary128 on the way") {
  // 1 and -0.75 as the standard's binary128 has them.
  CHECK(to_binary128(1.0L).high == 0x3FFF'0000'0000'0000);
  CHECK(to_binary128(1.0L).low == 0);
  CHECK(to_binary128(-0.75L).high == 0xBFFE'8000'0000'0000);
}

TEST_CASE("a number is read as its own kind and width only") {
  const auto reads_as = [](const Message& message, auto type) {
    try {
      receive<decltype(type)>(message);
      return true;
    } catch (const DataCloneError&) {
      return false;
    }
  };
  CHECK(reads_as(post(5L), 5LL));  // two names of one thing
  CHECK(reads_as(post(5), std::int32_t()));
  CHECK(reads_as(post(Colour::green), std::uint8_t()));
  CHECK(receive<Colour>(post(std::uint8_t{2})) == Colour::green);
  CHECK_FALSE(reads_as(post(5), 5L));
  CHECK_FALSE(reads_as(post(5), 5U));
  CHECK_FALSE(reads_as(post(5), 5.0F));
  CHECK_FALSE(reads_as(post('a'), std::int8_t()));
  CHECK(reads_as(post('a'), u8'a'));
  CHECK_FALSE(reads_as(post(true), std::uint8_t()));
  CHECK_THROWS_WITH_AS(receive<double>(post(5)),
                       "value: the message holds a number (signed integer of 32 bits), read as another "
                       "(floating point of 64 bits)",
                       DataCloneError);
}

TEST_CASE("a bool is 0 or 1") {
  Message message = post(true);
  message.payload.back() = std::byte{2};
  CHECK_THROWS_AS(receive<bool>(message), DataCloneError);
}

TEST_CASE("a plain type is its memory") {
  const Message message = post(Vec3{1, 2, 3});
  CHECK(message.payload.size() == sizeof(Vec3));
  CHECK(receive<Vec3>(message).z == 3);
  Message other = message;
  other.payload.pop_back();
  CHECK_THROWS_AS(receive<Vec3>(other), DataCloneError);
  other.payload.resize(sizeof(Vec3) + 1);
  CHECK_THROWS_AS(receive<Vec3>(other), DataCloneError);
}

TEST_CASE("a codec writes and reads its own format, and any exception of it refuses the message") {
  const Message message = post(Compressed{"aaab"});
  CHECK(message.payload == std::vector{std::byte{'a'}, std::byte{3}, std::byte{'b'}, std::byte{1}});
  CHECK(receive<Compressed>(message).text == "aaab");
  Message wrong = message;
  wrong.payload.back() = std::byte{0};
  CHECK_THROWS_WITH_AS(receive<Compressed>(wrong), "value: a run of nothing", DataCloneError);
}
