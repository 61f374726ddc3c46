// SPDX-License-Identifier: Apache-2.0

// What an archive takes for granted while it writes and reads: the room that it has asked for, and bytes that
// stand at any address.
#include <algorithm>
#include <cstring>
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Small {
  std::int16_t a = 1;
  std::uint8_t b = 2;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& a& b;
  }
};

struct Large {
  std::string name = "a name";
  double weights[6] = {1, 2, 3, 4, 5, 6};
  Small small;
  long double wide = 1.5L;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& weights& small& wide;
  }
};

struct Letter {
  std::string text = "a letter";
};

// Numbers before and after everything that is written in another way than they are.
struct Everything {
  std::int32_t first = 1;
  Large large;
  std::int64_t second = 2;
  std::vector<Small> smalls{3};
  std::uint8_t third = 3;
  std::vector<Large> larges{2};
  std::uint64_t fourth = 4;
  std::map<std::int16_t, std::string> names{{1, "one"}, {2, ""}};
  bool fifth = true;
  Letter letter;
  double sixth = 6;
  std::shared_ptr<Large> shared = std::make_shared<Large>();
  std::optional<float> seventh = 7.F;
  std::string long_text = std::string(300, 'x');
  std::array<std::string, 2> texts{"a", "b"};
  std::uint32_t eighth = 8;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& first& large& second& smalls& third& larges& fourth& names& fifth& letter& sixth;
    archive& shared& seventh& long_text& texts& eighth;
  }
};

// Has as much room as is asked for and no more, and guards the bytes behind it.
class GuardedSink final : public Sink {
 public:
  explicit GuardedSink(std::size_t room_bytes) : Sink(true) { make(room_bytes); }

  std::vector<std::byte> payload() {
    check_guard();
    return {begin_, cursor_};
  }

 private:
  static constexpr std::size_t kGuardBytes = 4096;  // more than the whole value
  static constexpr std::byte kGuard{0xab};

  void make(std::size_t room_bytes) {
    const std::size_t used = written();
    std::vector<std::byte> larger(used + room_bytes + kGuardBytes, kGuard);
    if (used != 0) std::memcpy(larger.data(), begin_, used);
    memory_ = std::move(larger);
    begin_ = memory_.data();
    cursor_ = begin_ + used;
    end_ = cursor_ + room_bytes;
  }
  void check_guard() {
    if (cursor_ > end_ ||
        std::any_of(end_, end_ + kGuardBytes, [](std::byte byte) { return byte != kGuard; }))
      throw std::logic_error("written past the end of the room");
  }
  void grow(std::size_t bytes) override {
    check_guard();
    make(bytes);
  }
  std::uint32_t attach_port(MessagePort&, Ownership) override { return 0; }

  std::vector<std::byte> memory_;
};

struct Complicated {
  int number = 5;  // so that it is not trivial, and is memory all the same
};

template <class Block>
void check_at_each_address(const Block& block) {
  for (std::size_t bytes = 0; bytes < 2 * sizeof(long double); ++bytes) {
    const std::pair sent(std::string(bytes, '.'), block);
    const auto read = round_trip(sent);
    REQUIRE(read.second.size() == block.size());
    CHECK(std::memcmp(read.second.data(), block.data(), block.size() * sizeof(block[0])) == 0);
  }
}

// Whose own way of being written is not the one that it inherits.
struct Cup {
  int handles = 1;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& handles;
  }
};
struct Mug : Cup {
  int ounces = 2;
};
template <class Archive>
void serialize(Archive& archive, Mug& mug, unsigned) {
  archive& mug.handles& mug.ounces;
}

}  // namespace

template <>
struct portolan::codec<Letter> {
  static void write(const Letter& letter, Sink& sink) { sink.write(letter.text.data(), letter.text.size()); }
  static Letter read(Source& source) {
    const std::size_t bytes = source.left();
    return {std::string(reinterpret_cast<const char*>(source.take(bytes)), bytes)};
  }
};
template <>
inline constexpr bool portolan::is_plain<Complicated> = true;

TEST_CASE("a value is written within its room, wherever that ends") {
  const Everything everything;
  GuardedSink roomy(1 << 14);
  encode(everything, roomy);
  const std::vector<std::byte> whole = roomy.payload();
  for (std::size_t room_bytes = 0; room_bytes <= whole.size() + 1; ++room_bytes) {
    GuardedSink sink(room_bytes);
    encode(everything, sink);
    REQUIRE(sink.payload() == whole);
  }
}

TEST_CASE("blocks are read from any address") {
  check_at_each_address(std::vector<double>{1, 2.5, -3});
  check_at_each_address(std::vector<std::int16_t>{1, 2, 3, 4, 5});
  check_at_each_address(std::u32string(U"wide"));
  check_at_each_address(std::vector<std::array<float, 3>>(4));
  check_at_each_address(std::vector<Complicated>(3));
}

TEST_CASE("an object is written as Boost would have it, not as a base of it is") {
  Mug mug;
  mug.handles = 5;
  mug.ounces = 6;
  const Mug read = round_trip(mug);
  CHECK(read.handles == 5);
  CHECK(read.ounces == 6);
}
