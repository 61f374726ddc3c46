// SPDX-License-Identifier: Apache-2.0

// A peer that writes what it likes into every word: calls end, and stay inside the memory that there is.
#include <doctest/doctest.h>
#include <vector>

#include "hostile_ring.hpp"
#include "random_seed.hpp"
#include "ring/scout.hpp"
#include "ring_ends.hpp"
#include "ring_memory.hpp"

using namespace portolan::ring;
using namespace portolan::testing;

namespace {

struct BareRing {
  RingMemory memory;
  Writer writer{memory.lines(), memory.geometry(), memory};
  Reader reader{memory.lines(), memory.geometry(), memory};

  void put(Run run, std::uint64_t at_bytes, FrameHeader header) {
    header_at(memory.blocks().data() + run.block * kBlock + at_bytes)
        .store(header.word(), std::memory_order_relaxed);
  }
  void put_first(std::uint64_t at_bytes, FrameHeader header) {
    header_at(memory.lines().first_extent + at_bytes).store(header.word(), std::memory_order_relaxed);
  }
};

}  // namespace

TEST_CASE("random scripts of hostile words and honest calls end inside the memory") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  RingMemory memory;
  NoWords plain_words;
  std::vector<std::uint8_t> script;
  for (std::uint64_t round = 0; round < 20'000; ++round) {
    Dice dice(seed + round);
    script.resize(dice.roll(1, 1500));
    for (std::uint8_t& byte : script) byte = static_cast<std::uint8_t>(dice.word());
    CAPTURE(round);
    HOLDS(HostileRing(memory, plain_words).run(script));
  }
}

TEST_CASE("a writer's place in an extent of no blocks is refused") {
  for (const Adoption how : {Adoption::after_move, Adoption::after_death}) {
    for (const Run run : {Run{5, 0}, Run{16, 0}, Run{15, 2}, Run{0xffff, 0xffff}}) {
      BareRing ring;
      ring.memory.lines().writer.extent.store(Location(run, 0).word(), std::memory_order_relaxed);
      CHECK(!ring.writer.adopt(how));
    }
  }
}

TEST_CASE("a JUMP to no blocks, outside, or back to the first extent is refused by either end") {
  for (const Run run : {Run{5, 0}, Run{16, 0}, Run{15, 2}, Run{0xffff, 0xffff}, kFirstExtent}) {
    BareRing ring;
    ring.put_first(kExtentHeadBytes, FrameHeader::jump(run));
    CHECK(!ring.writer.adopt(Adoption::after_death));
    REQUIRE(ring.reader.adopt(Adoption::after_death));
    Reader::Frame frame;
    CHECK(ring.reader.look(frame) == Reader::Look::violation);
  }
}

TEST_CASE("frames that end behind their extent are refused by either end") {
  for (const std::uint32_t bytes :
       {static_cast<std::uint32_t>(kFirstExtentBytes - kExtentHeadBytes - 8), 0xfffffff0U, 0xffffffffU}) {
    BareRing ring;
    ring.put_first(kExtentHeadBytes, message_header(bytes));
    CHECK(!ring.writer.adopt(Adoption::after_death));
    REQUIRE(ring.reader.adopt(Adoption::after_death));
    Reader::Frame frame;
    CHECK(ring.reader.look(frame) == Reader::Look::violation);
  }
}

TEST_CASE("a writer's adopter does not follow JUMPs in a circle") {
  BareRing ring;
  ring.put_first(kExtentHeadBytes, FrameHeader::jump({3, 1}));
  ring.put({3, 1}, kExtentHeadBytes, message_header(0));
  ring.put({3, 1}, kExtentHeadBytes + 8, FrameHeader::jump({3, 1}));
  CHECK(!ring.writer.adopt(Adoption::after_death));
}

TEST_CASE("a reader takes JUMPs without a frame, and marks without an end, for a violation") {
  BareRing ring;
  ring.put_first(kExtentHeadBytes, FrameHeader::jump({3, 1}));
  SUBCASE("a JUMP behind a JUMP") {
    ring.put({3, 1}, kExtentHeadBytes, FrameHeader::jump({4, 1}));
  }
  SUBCASE("a circle of one mark") {
    ring.put({3, 1}, kExtentHeadBytes, FrameHeader::mark(0));
    ring.put({3, 1}, kExtentHeadBytes + 8, FrameHeader::jump({3, 1}));
  }
  REQUIRE(ring.reader.adopt(Adoption::after_death));
  Reader::Frame frame;
  Reader::Look looked = Reader::Look::mark;
  for (int marks = 0; looked == Reader::Look::mark; ++marks) {
    REQUIRE(marks < 1'000'000);
    looked = ring.reader.look(frame);
    if (looked == Reader::Look::mark) ring.reader.skip_mark(frame);
  }
  CHECK(looked == Reader::Look::violation);
}

TEST_CASE("a JUMP into blocks that the reader has not handed back is refused, others are followed") {
  BareRing ring;
  ring.put_first(kExtentHeadBytes, FrameHeader::jump({3, 2}));
  ring.put({3, 2}, kExtentHeadBytes, message_header(0));
  ring.put({3, 2}, kExtentHeadBytes + 8, FrameHeader::jump({6, 1}));
  ring.put({6, 1}, kExtentHeadBytes, message_header(0));
  REQUIRE(ring.reader.adopt(Adoption::after_death));
  Reader::Frame held, next;
  REQUIRE(ring.reader.look(held) == Reader::Look::message);
  ring.reader.take(held);
  auto expected = Reader::Look::violation;
  Run run{3, 2};
  SUBCASE("those that are being read") {
    ring.put({3, 2}, kExtentHeadBytes + 8, FrameHeader::jump(run));
  }
  SUBCASE("some of them") {
    run = {4, 4};
    ring.put({3, 2}, kExtentHeadBytes + 8, FrameHeader::jump(run));
  }
  SUBCASE("those that it has left, with a message in hand") {
    REQUIRE(ring.reader.look(next) == Reader::Look::message);
    ring.reader.take(next);
    release(ring.reader, next);
  }
  SUBCASE("those that it has left, with a message kept") {
    held.extent->hold();
    release(ring.reader, held);
    REQUIRE(ring.reader.look(next) == Reader::Look::message);
    ring.reader.take(next);
  }
  SUBCASE("those that a kept message was the last to hold") {
    held.extent->hold();
    release(ring.reader, held);
    REQUIRE(ring.reader.look(next) == Reader::Look::message);
    ring.reader.take(next);
    REQUIRE(held.extent->let_go());
    ring.reader.hand_back_kept();
    expected = Reader::Look::message;
  }
  SUBCASE("those that it has left, with nothing of them in hand") {
    release(ring.reader, held);
    REQUIRE(ring.reader.look(next) == Reader::Look::message);
    ring.reader.take(next);
    expected = Reader::Look::message;
  }
  ring.put({6, 1}, kExtentHeadBytes + 8, FrameHeader::jump(run));
  CHECK(ring.reader.look(next) == expected);
}

TEST_CASE("a look ahead follows no JUMPs in a circle for ever") {
  BareRing ring;
  ring.put_first(kExtentHeadBytes, message_header(0));
  ring.put_first(kExtentHeadBytes + 8, FrameHeader::jump({3, 1}));
  SUBCASE("of messages") {
    ring.put({3, 1}, kExtentHeadBytes, message_header(0));
    ring.put({3, 1}, kExtentHeadBytes + 8, FrameHeader::jump({3, 1}));
  }
  SUBCASE("of marks") {
    ring.put({3, 1}, kExtentHeadBytes, FrameHeader::mark(0));
    ring.put({3, 1}, kExtentHeadBytes + 8, FrameHeader::jump({3, 1}));
  }
  SUBCASE("of nothing") {
    ring.put({3, 1}, kExtentHeadBytes, FrameHeader::jump({3, 1}));
  }
  REQUIRE(ring.reader.adopt(Adoption::after_death));
  Scout scout(ring.reader);
  Reader::Frame frame;
  Reader::Look looked = Reader::Look::message;
  for (int looks = 0; looked == Reader::Look::message; ++looks) {
    REQUIRE(looks < 1'000'000);
    looked = scout.look(frame);
  }
  CHECK(looked == Reader::Look::violation);
}

TEST_CASE("a cursor outside its extent is refused") {
  for (const Location place :
       {Location({0, 0}, 8), Location({0, 0}, kFirstExtentBytes), Location({3, 1}, kBlock),
        Location({3, 1}, 8), Location({16, 1}, 16), Location({5, 0}, 16)}) {
    BareRing ring;
    ring.memory.lines().reader.progress.cursor.store(place.word(), std::memory_order_relaxed);
    CHECK(!ring.reader.adopt(Adoption::after_death));
  }
}
