// SPDX-License-Identifier: Apache-2.0

// Owners that die or move at chosen places, and what their successors find. machine_test.cpp does the same at
// random, stepped_test.cpp at every instruction; here are the cases that once went wrong.
#include <cstring>
#include <deque>
#include <doctest/doctest.h>
#include <memory>

#include "ring_ends.hpp"
#include "ring_memory.hpp"

using namespace portolan::ring;
using namespace portolan::testing;

namespace {

struct Ring {
  RingMemory memory;
  std::deque<Writer> writers;
  std::deque<Reader> readers;

  Ring() {
    new_writer(Adoption::after_move);
    new_reader(Adoption::after_move);
  }
  Writer& writer() { return writers.back(); }
  Reader& reader() { return readers.back(); }
  void new_writer(Adoption how) {
    writers.emplace_back(memory.lines(), memory.geometry(), memory);
    REQUIRE(writer().adopt(how));
  }
  void new_reader(Adoption how) {
    readers.emplace_back(memory.lines(), memory.geometry(), memory);
    REQUIRE(reader().adopt(how));
  }
  // The first frame in blocks, so that the first extent is out of the way.
  void enter_blocks() {
    REQUIRE(post(writer(), 2000, 0));
    REQUIRE(take_and_release(reader(), 0));
  }
};

}  // namespace

TEST_CASE("a channel that nobody has used is adopted by either end in either way") {
  for (const Adoption how : {Adoption::after_move, Adoption::after_death}) {
    Ring ring;
    ring.new_writer(how);
    ring.new_reader(how);
    CHECK(ring.writer().message_count() == 0);
    CHECK(ring.reader().passed_count() == 0);
    REQUIRE(post(ring.writer(), 100, 0));
    CHECK(take_and_release(ring.reader(), 0));
  }
}

TEST_CASE("an owner that took a run and died leaves it to the next one") {
  Ring ring;
  ring.enter_blocks();
  REQUIRE(ring.writer().reserve(3 * kBlock) != nullptr);
  const std::uint32_t used = ring.memory.used_blocks();
  for (int deaths = 0; deaths < 5; ++deaths) {
    ring.new_writer(Adoption::after_death);
    CHECK(ring.memory.used_blocks() == used);
  }
  REQUIRE(post(ring.writer(), 3 * kBlock, 1));
  CHECK(ring.memory.used_blocks() == used);
  CHECK(take_and_release(ring.reader(), 1));
}

TEST_CASE("a run that was taken stays with the owners even if the kernel refuses its mapping for a while") {
  Ring ring;
  ring.enter_blocks();
  REQUIRE(ring.writer().reserve(3 * kBlock) != nullptr);
  const std::uint32_t used = ring.memory.used_blocks();
  ring.memory.refuse_allocation = true;
  ring.new_writer(Adoption::after_death);
  ring.memory.refuse_allocation = false;
  REQUIRE(post(ring.writer(), 3 * kBlock, 1));
  CHECK(ring.memory.used_blocks() == used);
  CHECK(take_and_release(ring.reader(), 1));
  ring.reader().pass_all();
  CHECK(ring.memory.used_blocks() == 4);
}

TEST_CASE("the extent that an adopter's walk ends in is the one that the next adopter starts from") {
  Ring ring;
  ring.enter_blocks();
  const std::uint64_t first = ring.memory.lines().writer.extent.load(std::memory_order_relaxed);
  REQUIRE(post(ring.writer(), kBlock - 100, 1));
  // Killed between the JUMP and the store of the extent behind it.
  ring.memory.lines().writer.extent.store(first, std::memory_order_relaxed);
  ring.new_writer(Adoption::after_death);
  CHECK(take_and_release(ring.reader(), 1));
  // The reader has handed the first extent back: the next run begins there. Killed before its JUMP.
  std::byte* const room = ring.writer().reserve(kBlock - 100);
  REQUIRE(room != nullptr);
  std::memset(room, 0x11, kBlock - 100);
  const std::uint64_t unpublished = message_header(kBlock - 100).word();
  std::memcpy(room - kHeaderBytes, &unpublished, sizeof unpublished);
  ring.new_writer(Adoption::after_death);
  CHECK(ring.writer().message_count() == 2);
  REQUIRE(post(ring.writer(), kBlock - 100, 2));
  CHECK(take_and_release(ring.reader(), 2));
}

TEST_CASE("what one owner handed out is marked for every later owner, until it has been passed") {
  for (const Adoption last : {Adoption::after_death, Adoption::after_move}) {
    Ring ring;
    for (std::uint64_t message = 0; message < 6; ++message) REQUIRE(post(ring.writer(), 50, message));
    for (std::uint64_t message = 0; message < 5; ++message) ring.reader().take(*next_message(ring.reader()));
    ring.new_reader(Adoption::after_death);
    CHECK(ring.reader().redelivered(0));
    ring.reader().take(*next_message(ring.reader()));
    std::uint64_t next = 0;
    if (last == Adoption::after_move) {
      ring.reader().pass_all();
      next = 1;
    }
    ring.new_reader(last);
    for (; next < 6; ++next) {
      const auto frame = take_and_release(ring.reader(), next);
      REQUIRE(frame);
      CHECK(frame->sequence == next);
      CHECK(ring.reader().redelivered(frame->sequence) == (next < 5));
    }
  }
}

TEST_CASE("an ordinary move marks nothing") {
  Ring ring;
  for (std::uint64_t message = 0; message < 6; ++message) REQUIRE(post(ring.writer(), 50, message));
  for (std::uint64_t message = 0; message < 3; ++message) ring.reader().take(*next_message(ring.reader()));
  ring.reader().pass_all();
  ring.new_reader(Adoption::after_move);
  for (std::uint64_t message = 3; message < 6; ++message) {
    const auto frame = take_and_release(ring.reader(), message);
    REQUIRE(frame);
    CHECK(!ring.reader().redelivered(frame->sequence));
  }
}

TEST_CASE("a reader that died holding messages of three extents leaves no block behind") {
  Ring ring;
  for (std::uint64_t message = 0; message < 12; ++message) REQUIRE(post(ring.writer(), 2000, message));
  for (std::uint64_t message = 0; message < 8; ++message) ring.reader().take(*next_message(ring.reader()));
  ring.new_reader(Adoption::after_death);
  for (std::uint64_t message = 0; message < 12; ++message) REQUIRE(take_and_release(ring.reader(), message));
  CHECK(!next_message(ring.reader()));
  CHECK(ring.memory.used_blocks() == 1);
}

TEST_CASE("blocks that a dead reader had left but not handed back are handed back for it") {
  Ring ring;
  ring.enter_blocks();
  REQUIRE(post(ring.writer(), 3000, 1));
  const auto kept = next_message(ring.reader());
  ring.reader().take(*kept);
  kept->extent->hold();  // pins the extent past its end
  release(ring.reader(), *kept);
  REQUIRE(post(ring.writer(), 3000, 2));
  REQUIRE(post(ring.writer(), 3000, 3));
  REQUIRE(take_and_release(ring.reader(), 2));
  REQUIRE(take_and_release(ring.reader(), 3));
  CHECK(ring.memory.used_blocks() == 2);
  SUBCASE("when the ring is dry") {}
  SUBCASE("when the run comes that was being taken") {
    REQUIRE(ring.writer().reserve(3000) != nullptr);
  }
  ring.new_reader(Adoption::after_death);
  REQUIRE(post(ring.writer(), 3000, 4));
  REQUIRE(take_and_release(ring.reader(), 4));
  CHECK(!next_message(ring.reader()));
  CHECK(ring.memory.used_blocks() == 1);
}

TEST_CASE(
    "a reader polls on the short way once it has looked in full, and again after an adoption or a mark") {
  Ring ring;
  CHECK(!ring.reader().dry_here());
  CHECK(!next_message(ring.reader()));
  ring.reader().pass_all();
  CHECK(ring.reader().dry_here());
  SUBCASE("an adoption") {
    ring.new_reader(Adoption::after_death);
  }
  SUBCASE("a mark") {
    REQUIRE(ring.writer().reserve(8) != nullptr);
    ring.writer().commit(FrameHeader::mark(8));
    CHECK(!ring.reader().dry_here());
    Reader::Frame frame;
    REQUIRE(ring.reader().look(frame) == Reader::Look::mark);
    ring.reader().skip_mark(frame);
  }
  ring.reader().pass_all();
  CHECK(!ring.reader().dry_here());
  CHECK(!next_message(ring.reader()));
  CHECK(ring.reader().dry_here());
  REQUIRE(post(ring.writer(), 8, 0));
  CHECK(!ring.reader().dry_here());
  ring.reader().take(*next_message(ring.reader()));
  CHECK(!next_message(ring.reader()));
  CHECK(!ring.reader().dry_here());
  ring.reader().pass_all();
  CHECK(ring.reader().dry_here());
}

TEST_CASE(
    "marks alone, in the last place of an extent or as its only frame, lose nothing and count for nothing") {
  Ring ring;
  ring.enter_blocks();
  std::uint64_t message = 1;
  for (std::uint32_t round = 0; round < 500; ++round) {
    REQUIRE(ring.writer().reserve(round % 60) != nullptr);
    ring.writer().commit(FrameHeader::mark(round % 60));
    if (round % 3 == 0) ring.new_writer(Adoption::after_death);
    if (round % 7 == 0) REQUIRE(post(ring.writer(), ring.writer().room_here_bytes(), message++));
    if (round % 40 == 0) {
      ring.new_reader(Adoption::after_death);
      while (ring.reader().passed_count() < message)
        REQUIRE(take_and_release(ring.reader(), ring.reader().passed_count()));
      CHECK(!next_message(ring.reader()));
      CHECK(ring.reader().passed_count() == message);
      CHECK(ring.memory.used_blocks() == 1);
    }
    CHECK(ring.writer().message_count() == message);
  }
}

TEST_CASE("both ends change hands at once with a run taken and extents left behind") {
  for (const bool writer_first : {false, true}) {
    Ring ring;
    std::uint64_t posted = 0, taken = 0;
    for (int round = 0; round < 200; ++round) {
      for (int i = 0; i < 5; ++i) {
        if (!post(ring.writer(), 500 + 700 * static_cast<std::uint64_t>(i), posted)) break;
        ++posted;
      }
      if (round % 3 == 0 && ring.writer().reserve(6000) != nullptr) ring.writer().abandon();
      for (int i = 0; i < 5 && taken < posted; ++i) REQUIRE(take_and_release(ring.reader(), taken++));
      if (writer_first) ring.new_writer(Adoption::after_death);
      ring.new_reader(Adoption::after_death);
      if (!writer_first) ring.new_writer(Adoption::after_death);
      CHECK(ring.writer().message_count() == posted);
      CHECK(ring.reader().passed_count() == taken);
    }
    while (taken < posted) REQUIRE(take_and_release(ring.reader(), taken++));
    CHECK(!next_message(ring.reader()));
    CHECK(ring.memory.used_blocks() <= 3);
  }
}

TEST_CASE("the last release of what is in hand passes all of it, in whatever order") {
  Ring ring;
  for (std::uint64_t message = 0; message < 9; ++message) REQUIRE(post(ring.writer(), 900, message));
  std::deque<Reader::Frame> batch;
  for (int i = 0; i < 9; ++i) {
    batch.push_back(*next_message(ring.reader()));
    ring.reader().take(batch.back());
  }
  while (!batch.empty()) {  // last one first, as an array is destroyed
    CHECK(ring.reader().passed_count() == 0);
    release(ring.reader(), batch.back());
    batch.pop_back();
  }
  CHECK(ring.reader().passed_count() == 9);
  CHECK(ring.memory.used_blocks() == 1);
}
