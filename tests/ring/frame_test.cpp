// SPDX-License-Identifier: Apache-2.0

// Header words and locations: what is written is read, and whatever else stands there is recognised as
// foreign.
#include "ring/frame.hpp"

#include <doctest/doctest.h>

#include "random_seed.hpp"

using namespace portolan::ring;
using portolan::testing::Dice;
using portolan::testing::random_seed;

TEST_CASE("a message's header says what was put into it") {
  for (const std::uint32_t bytes : {0U, 1U, 7U, 8U, 65535U, 0xffffffffU}) {
    for (unsigned format = 0; format < 16; ++format) {
      const FrameHeader header = FrameHeader::message(bytes, format, true, false);
      CHECK(header.kind() == Kind::message);
      CHECK(header.payload_bytes() == bytes);
      CHECK(header.format() == format);
      CHECK(header.attachments());
      CHECK(!header.large_body());
      CHECK(header.known());
      CHECK(!header.plain_message());
      CHECK(FrameHeader::message(bytes, format, false, false).plain_message());
      CHECK(!FrameHeader::message(bytes, format, false, true).plain_message());
    }
  }
}

TEST_CASE("requests and replies are messages that are not plain") {
  const FrameHeader plain = FrameHeader::message(8, 2, false, false);
  CHECK(plain.as_request().is_request());
  CHECK(!plain.as_request().is_reply());
  CHECK(plain.as_reply().is_reply());
  CHECK(!plain.as_reply().is_request());
  for (const FrameHeader header : {plain.as_request(), plain.as_reply()}) {
    CHECK(header.known());
    CHECK(!header.plain_message());
    CHECK(header.kind() == Kind::message);
    CHECK(header.format() == 2);
    CHECK(header.payload_bytes() == 8);
  }
  CHECK(FrameHeader::message(0, 2, false, false).as_request().known());
  CHECK(!FrameHeader::message(7, 2, false, false).as_reply().known());
  CHECK(!plain.as_request().as_reply().known());
  CHECK(!FrameHeader::mark(8).as_reply().known());
}

TEST_CASE("the low half of every header that is published is not zero, since readers sleep on it") {
  CHECK(static_cast<std::uint32_t>(FrameHeader::message(0, 0, false, false).word()) != 0);
  CHECK(static_cast<std::uint32_t>(FrameHeader::mark(0).word()) != 0);
  CHECK(static_cast<std::uint32_t>(FrameHeader::jump({0, 1}).word()) != 0);
  CHECK(static_cast<std::uint32_t>(FrameHeader::jump({1023, 1}).word()) != 0);
}

TEST_CASE("a frame takes its header and its payload rounded up, whatever the payload") {
  CHECK(FrameHeader::message(0, 0, false, false).frame_bytes() == 8);
  CHECK(FrameHeader::message(1, 0, false, false).frame_bytes() == 16);
  CHECK(FrameHeader::message(8, 0, false, false).frame_bytes() == 16);
  CHECK(FrameHeader::message(0xffffffff, 0, false, false).frame_bytes() == 0x100000008);
}

TEST_CASE("a random word is known only if its kind is and its spare bits are zero") {
  Dice dice(random_seed());
  for (int round = 0; round < 100'000; ++round) {
    // A third without high bits, a third with spare bits only, the rest anything.
    std::uint64_t word = dice.word();
    if (dice.one_in(3)) word &= 0xffffffff00000fff;
    const unsigned kind = word & 0xf;
    // Only a message has a large body, and room for its size.
    const bool large_fits = (word & 0x200) == 0 || (kind == 1 && word >> 32 >= 8);
    // Only a message is a request or a reply, never both, and a reply has room for the number that it
    // answers.
    const unsigned correlation = word >> 10 & 3;
    const bool correlation_fits =
        correlation == 0 || (kind == 1 && (correlation == 1 || (correlation == 2 && word >> 32 >= 8)));
    HOLDS(FrameHeader(word).known() ==
          ((word >> 12 & 0xfffff) == 0 && kind >= 1 && kind <= 3 && large_fits && correlation_fits));
    if (FrameHeader(word).plain_message()) HOLDS(FrameHeader(word).known());
  }
}

TEST_CASE("locations hold a run and an offset up to 32 GiB") {
  Dice dice(random_seed());
  for (int round = 0; round < 1000; ++round) {
    const Run run{static_cast<std::uint16_t>(dice.roll(0, 1023)),
                  static_cast<std::uint16_t>(dice.roll(0, 1024))};
    const std::uint64_t offset_bytes = dice.roll(0, 0xffffffff) * 8;
    const Location location(Location(run, offset_bytes).word());
    HOLDS(location.run() == run);
    HOLDS(location.offset_bytes() == offset_bytes);
  }
  CHECK(Location(kFirstExtent, 0).word() == 0);
}
