// SPDX-License-Identifier: Apache-2.0

// Memory of free blocks goes back to the kernel, by another thread than the one that posts.
#include <atomic>
#include <cstring>
#include <doctest/doctest.h>
#include <thread>

#include "ring/writer.hpp"
#include "ring_ends.hpp"
#include "ring_memory.hpp"

using namespace portolan::ring;
using namespace portolan::testing;

namespace {

// What the kernel does to a punched block.
void punch(const RingMemory& memory, Run run) {
  const std::uint64_t block_bytes = memory.geometry().block_bytes;
  std::memset(memory.blocks().data() + run.block * block_bytes, 0, run.count * block_bytes);
}

struct Ends {
  RingMemory memory;
  Writer writer{memory.lines(), memory.geometry(), memory};
  Reader reader{memory.lines(), memory.geometry(), memory};
  std::uint64_t message = 0;

  Ends() {
    REQUIRE(writer.adopt(Adoption::after_move));
    REQUIRE(reader.adopt(Adoption::after_move));
  }
  // Several blocks full, and all of it read.
  void burst() {
    const std::uint64_t first = message;
    while (message - first < 40) REQUIRE(post(writer, 1000, message++));
    for (std::uint64_t read = first; read < message; ++read) REQUIRE(take_and_release(reader, read));
  }
  std::uint32_t give_back(std::uint32_t keep) {
    std::uint32_t blocks = 0;
    writer.give_back(keep, 4, [&](Run run) {
      punch(memory, run);
      blocks += run.count;
    });
    return blocks;
  }
};

}  // namespace

TEST_CASE("a block gets its memory once, and again only after it was given back") {
  Ends ends;
  ends.burst();
  const std::uint32_t first = ends.memory.allocated_blocks;
  CHECK(first > 0);
  for (int again = 0; again < 10; ++again) ends.burst();
  CHECK(ends.memory.allocated_blocks <= RingMemory::kSmall.block_count);
  const std::uint32_t all = ends.memory.allocated_blocks;
  CHECK(ends.give_back(2) > 0);
  CHECK(ends.give_back(2) == 0);
  ends.burst();
  CHECK(ends.memory.allocated_blocks > all);
}

TEST_CASE("a new owner gives back what the one before it left free") {
  Ends ends;
  ends.burst();
  ends.writer.store_place();
  Writer next(ends.memory.lines(), ends.memory.geometry(), ends.memory);
  REQUIRE(next.adopt(Adoption::after_move));
  std::uint32_t blocks = 0;
  next.give_back(0, 4, [&](Run run) { blocks += run.count; });
  CHECK(blocks == RingMemory::kSmall.block_count - ends.memory.used_blocks());
}

TEST_CASE("memory is given back while another thread posts, and no message is lost in it") {
  Ends ends;
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> punched_blocks{0};
  std::thread loop([&] {
    while (!done.load()) punched_blocks += ends.give_back(0);
  });
  // Both conditions: enough of it, and some of it at the same time.
  for (int round = 0; round < 300 || punched_blocks.load() < 100; ++round) ends.burst();
  done.store(true);
  loop.join();
  CHECK(punched_blocks.load() >= 100);
}
