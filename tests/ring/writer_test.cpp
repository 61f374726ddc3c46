// SPDX-License-Identifier: Apache-2.0

// Reservations: their sizes, their ends, and what happens when there is no room for more.
#include "ring/writer.hpp"

#include <cstddef>
#include <doctest/doctest.h>
#include <set>
#include <vector>

#include "ring_ends.hpp"
#include "ring_memory.hpp"

using namespace portolan::ring;
using namespace portolan::testing;

namespace {

struct Ends {
  RingMemory memory;
  Writer writer{memory.lines(), memory.geometry(), memory};
  Reader reader{memory.lines(), memory.geometry(), memory};

  Ends() {
    REQUIRE(writer.adopt(Adoption::after_move));
    REQUIRE(reader.adopt(Adoption::after_move));
  }
  // Leaves the first extent: the writer is in blocks from here on.
  void enter_blocks() {
    REQUIRE(writer.room_here_bytes() > 0);
    REQUIRE(post(writer, writer.room_here_bytes() + 1, 0));
    REQUIRE(take_and_release(reader, 0));
  }
  // As many frames of `bytes` as there is room for.
  std::uint64_t fill(std::uint64_t bytes, std::uint64_t first_message) {
    std::uint64_t message = first_message;
    while (post(writer, bytes, message)) ++message;
    return message;
  }
};

// Head of the extent, header of the frame, room for the JUMP.
constexpr std::uint64_t kLargestInABlock = kBlock - kExtentHeadBytes - 2 * kHeaderBytes;

}  // namespace

TEST_CASE("a payload above the largest frame gets no room, whether it comes at once or grows") {
  Ends ends;
  const std::uint64_t largest = ends.writer.largest_payload_bytes();
  CHECK(ends.writer.reserve(largest + 1) == nullptr);
  CHECK(ends.writer.refusal() == Writer::Refusal::full);
  REQUIRE(ends.writer.reserve(8) != nullptr);
  CHECK(ends.writer.extend(largest + 1, 8) == nullptr);
  CHECK(ends.writer.extend(largest, 8) != nullptr);
  ends.writer.abandon();
  CHECK(post(ends.writer, largest, 0));
  CHECK(take_and_release(ends.reader, 0));
}

TEST_CASE("a frame of the last possible size fits into the first extent") {
  Ends ends;
  const std::uint64_t largest = kFirstExtentBytes - kExtentHeadBytes - 2 * kHeaderBytes;
  CHECK(ends.writer.room_here_bytes() == largest);
  REQUIRE(post(ends.writer, largest, 0));
  CHECK(ends.memory.used_blocks() == 0);
  CHECK(ends.writer.room_here_bytes() == 0);
  CHECK(take_and_release(ends.reader, 0));
  REQUIRE(post(ends.writer, 0, 1));
  CHECK(ends.memory.used_blocks() == 1);
  CHECK(take_and_release(ends.reader, 1));
}

TEST_CASE("a frame of the last possible size fits into one block, a longer one takes two") {
  for (const std::uint64_t bytes : {kLargestInABlock, kLargestInABlock + 1}) {
    Ends ends;
    REQUIRE(post(ends.writer, kFirstExtentBytes - 100, 0));
    REQUIRE(post(ends.writer, bytes, 1));
    CHECK(ends.memory.used_blocks() == (bytes == kLargestInABlock ? 1 : 2));
    CHECK(take_and_release(ends.reader, 0));
    CHECK(take_and_release(ends.reader, 1));
  }
}

TEST_CASE("an extent has as many blocks as are preferred, and if so many are not free, as many as it needs") {
  Ends ends;
  std::uint64_t message = 0;
  const auto blocks_of_next_extent = [&] {
    const std::uint32_t before = ends.memory.used_blocks();
    while (ends.memory.used_blocks() == before) REQUIRE(post(ends.writer, 500, message++));
    return ends.memory.used_blocks() - before;
  };
  ends.writer.prefer_extents_of(6);
  CHECK(blocks_of_next_extent() == 6);
  CHECK(blocks_of_next_extent() == 6);
  CHECK(blocks_of_next_extent() == 1);  // of the four that are left
  ends.writer.prefer_extents_of(2);
  CHECK(blocks_of_next_extent() == 2);
  ends.writer.prefer_extents_of(0);
  CHECK(blocks_of_next_extent() == 1);
  for (std::uint64_t taken = 0; taken < message; ++taken) REQUIRE(take_and_release(ends.reader, taken));
}

TEST_CASE("a stream goes round in four extents, and a quiet writer in the lowest two") {
  for (const std::uint32_t blocks : {1u, 2u}) {
    CAPTURE(blocks);
    const bool streams = blocks > 1;
    Ends ends;
    ends.enter_blocks();
    ends.writer.prefer_extents_of(blocks);
    std::vector<std::size_t> extents;  // in the order in which they were entered
    for (std::uint64_t message = 1; message < 300; ++message) {
      const std::byte* const room = ends.writer.reserve(500);
      REQUIRE(room != nullptr);
      ends.writer.abandon();
      const auto offset_bytes = static_cast<std::size_t>(room - ends.memory.blocks().data());
      if (const std::size_t extent = offset_bytes / (blocks * kBlock);
          extents.empty() || extents.back() != extent)
        extents.push_back(extent);
      REQUIRE(post(ends.writer, 500, message));
      REQUIRE(take_and_release(ends.reader, message));
    }
    REQUIRE(extents.size() > 8);
    const std::size_t round = streams ? 4 : 2;
    for (std::size_t i = round; i < extents.size(); ++i) CHECK(extents[i] == extents[i - round]);
    CHECK(std::set<std::size_t>(extents.begin(), extents.end()).size() == round);
  }
}

TEST_CASE("a message that only one of would fit into a preferred extent gets one of its own size") {
  for (const std::uint64_t blocks : {2ul, 3ul}) {
    Ends ends;
    ends.writer.prefer_extents_of(4);
    REQUIRE(post(ends.writer, (blocks - 1) * kBlock, 0));
    CHECK(ends.memory.used_blocks() == (blocks == 2 ? 4 : 3));
    CHECK(take_and_release(ends.reader, 0));
  }
}

TEST_CASE("what is committed may be shorter than what was reserved") {
  Ends ends;
  for (std::uint64_t message = 0; message < 10'000; ++message) {
    std::byte* const room = ends.writer.reserve(kBlock * 3);
    REQUIRE(room != nullptr);
    const std::uint64_t bytes = message % 50;
    write_pattern(room, 0, bytes, message);
    ends.writer.commit(message_header(bytes));
    REQUIRE(take_and_release(ends.reader, message));
  }
}

TEST_CASE("an abandoned reservation never was, and its run serves the next one") {
  Ends ends;
  ends.enter_blocks();
  REQUIRE(ends.writer.reserve(2 * kBlock) != nullptr);
  ends.writer.abandon();
  const std::uint32_t used = ends.memory.used_blocks();
  CHECK(used == 4);
  for (int round = 0; round < 100; ++round) {
    REQUIRE(ends.writer.reserve(2 * kBlock) != nullptr);
    ends.writer.abandon();
  }
  CHECK(ends.memory.used_blocks() == used);
  REQUIRE(post(ends.writer, 2 * kBlock, 1));
  CHECK(ends.memory.used_blocks() == used);
  CHECK(take_and_release(ends.reader, 1));
}

TEST_CASE("a kept run that is too small goes to the reader empty and comes back through it") {
  Ends ends;
  ends.enter_blocks();
  REQUIRE(ends.writer.reserve(kBlock - 100) != nullptr);
  ends.writer.abandon();
  REQUIRE(post(ends.writer, 3 * kBlock, 1));
  CHECK(take_and_release(ends.reader, 1));
  ends.reader.pass_all();
  CHECK(ends.memory.used_blocks() == 4);
}

TEST_CASE("an extended reservation keeps what was written, wherever it has to go") {
  // From the current extent to a new one, from a new one to a larger one, and past a kept run that is too
  // small.
  for (const bool keep_a_run : {false, true}) {
    for (const std::uint64_t first : {10ul, 2000ul, kLargestInABlock, 2 * kBlock}) {
      CAPTURE(keep_a_run);
      CAPTURE(first);
      Ends ends;
      if (keep_a_run) {
        REQUIRE(ends.writer.reserve(kLargestInABlock) != nullptr);
        ends.writer.abandon();
      }
      REQUIRE(ends.writer.reserve(first) != nullptr);
      std::byte* room = ends.writer.extend(first, 0);
      write_pattern(room, 0, first, 0);
      room = ends.writer.extend(4 * kBlock - 100, first);
      REQUIRE(room != nullptr);
      CHECK(has_pattern(room, first, 0));
      write_pattern(room, 0, 4 * kBlock - 100, 0);
      ends.writer.commit(message_header(4 * kBlock - 100));
      CHECK(take_and_release(ends.reader, 0));
    }
  }
}

// The writer used to publish a kept run empty before it knew that there was a larger one, over the first
// bytes.
TEST_CASE("a reservation that cannot be extended stays as it is, whoever refuses") {
  for (const bool in_new_run : {false, true}) {
    for (const Writer::Refusal why : {Writer::Refusal::full, Writer::Refusal::kernel}) {
      CAPTURE(in_new_run);
      Ends ends;
      ends.enter_blocks();
      if (!in_new_run) {
        REQUIRE(ends.writer.reserve(kLargestInABlock) !=
                nullptr);  // a kept run, too small for what is coming
        ends.writer.abandon();
      }
      const std::uint64_t first = in_new_run ? kLargestInABlock : 100;
      if (in_new_run) REQUIRE(post(ends.writer, ends.writer.room_here_bytes() - 40, 1));
      std::byte* const room = ends.writer.reserve(first);
      REQUIRE(room != nullptr);
      write_pattern(room, 0, first, 2);
      ends.memory.refuse_allocation = why == Writer::Refusal::kernel;
      const std::uint64_t too_much = why == Writer::Refusal::full ? 14 * kBlock : 3 * kBlock;
      CHECK(ends.writer.extend(too_much, first) == nullptr);
      CHECK(ends.writer.refusal() == why);
      CHECK(has_pattern(room, first, 2));
      ends.writer.commit(message_header(first));
      if (in_new_run) CHECK(take_and_release(ends.reader, 1));
      CHECK(take_and_release(ends.reader, 2));
    }
  }
}

TEST_CASE("a full ring refuses, and takes again what the reader hands back") {
  Ends ends;
  for (const std::uint64_t bytes : {0ul, 100ul, 3000ul, kBlock, 4 * kBlock}) {
    CAPTURE(bytes);
    static std::uint64_t message = 0;
    const std::uint64_t past = ends.fill(bytes, message);
    CHECK(ends.writer.refusal() == Writer::Refusal::full);
    CHECK(past - message >= 10 * kBlock / (bytes + 5 * kBlock));
    for (; message < past; ++message) REQUIRE(take_and_release(ends.reader, message));
    CHECK(!next_message(ends.reader));
    ends.reader.pass_all();
  }
}

TEST_CASE("a drained ring takes the largest frame, whatever run is kept") {
  Ends ends;
  std::uint64_t message = 0;
  for (std::uint64_t kept = 1; kept <= 4; ++kept) {
    for (std::uint64_t before = 1; before <= 12; ++before) {
      // So that the current extent and the kept run lie in the middle.
      const std::uint64_t past = ends.fill(kLargestInABlock - before * 100, message);
      REQUIRE(past > message);
      for (; message < past; ++message) REQUIRE(take_and_release(ends.reader, message));
      if (ends.writer.reserve(kept * kBlock - 100) != nullptr) ends.writer.abandon();
      const std::uint64_t largest = ends.writer.largest_payload_bytes();
      for (int tries = 0; ends.writer.reserve(largest) == nullptr; ++tries) {
        REQUIRE(tries < 2);
        REQUIRE(!next_message(ends.reader));
        ends.reader.pass_all();
      }
      write_pattern(ends.writer.extend(largest, 0), 0, largest, message);
      ends.writer.commit(message_header(largest));
      REQUIRE(take_and_release(ends.reader, message++));
    }
  }
}

TEST_CASE("a kernel that gives no memory is no full ring, and the next attempt may succeed") {
  Ends ends;
  REQUIRE(post(ends.writer, 700, 0));
  ends.memory.refuse_mapping = true;
  CHECK(!post(ends.writer, 700, 1));
  CHECK(ends.writer.refusal() == Writer::Refusal::kernel);
  ends.memory.refuse_mapping = false;
  ends.memory.refuse_allocation = true;
  CHECK(!post(ends.writer, 700, 1));
  CHECK(ends.writer.refusal() == Writer::Refusal::kernel);
  CHECK(ends.memory.used_blocks() == 0);
  ends.memory.refuse_allocation = false;
  CHECK(post(ends.writer, 700, 1));
  CHECK(take_and_release(ends.reader, 0));
  CHECK(take_and_release(ends.reader, 1));
}

TEST_CASE("large bodies in files of their own leave that much less room, until they are read") {
  Ends ends;
  CHECK(ends.writer.large_body_fits(~0ull));
  const std::uint64_t body = ends.memory.geometry().direction_bytes() - 2 * kBlock;
  CHECK(post_large_body(ends.writer, body));
  CHECK(!ends.writer.large_body_fits(3 * kBlock));
  CHECK(ends.writer.large_body_fits(2 * kBlock));
  CHECK(ends.fill(kLargestInABlock, 0) <= 3);
  CHECK(ends.writer.refusal() == Writer::Refusal::full);
  ends.reader.count_large_body(body);
  CHECK(ends.writer.unread_large_bytes() == 0);
  CHECK(post(ends.writer, kLargestInABlock, 3));
}
