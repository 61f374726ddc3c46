// SPDX-License-Identifier: Apache-2.0

// Writer, reader, scout and both adoptions over a hostile peer's memory, with lies told to single loads.
#include "fuzz/target.hpp"
#include "ring/hostile_ring.hpp"
#include "words/answered_words.hpp"

namespace portolan::fuzz {
namespace {

using testing::RingMemory;

// The lines in front of the first extent.
std::span<const std::byte> control_words(const RingMemory& memory) {
  return memory.lines_bytes().first(offsetof(ring::DirectionLines, first_extent));
}
std::span<const std::byte> shared_memory(const RingMemory& memory) {
  const std::byte* const begin = memory.lines_bytes().data();
  return {begin, memory.blocks().data() + memory.blocks().size()};
}

Input script(std::initializer_list<unsigned> steps) {
  Input bytes;
  for (const unsigned step : steps) bytes.push_back(static_cast<std::byte>(step));
  return bytes;
}

std::uint64_t all_operations = 0;

// How many calls all of it was, for whoever counts them.
struct Tally {
  ~Tally() {
    std::fprintf(stderr, "stat::operations: %llu\n", static_cast<unsigned long long>(all_operations));
  }
} const tally;

}  // namespace

// Whether a message came through.
bool read(std::span<const std::byte> input) {
  static RingMemory memory;
  testing::AnsweredWords words(control_words(memory), shared_memory(memory));
  testing::HostileRing ring(memory, words);
  FUZZ_HOLDS(ring.run({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()}));
  all_operations += ring.operations();
  return ring.messages() != 0;
}

// 3: a writer adopts, 4: a reader does, 5: writes, 6: reads, 7: reads and keeps, 8: a lie.
std::vector<Input> seeds() {
  return {
      script({3, 0, 4, 0, 5, 0, 40, 9, 1, 1, 6}),
      script({3, 1, 4, 1, 5, 15, 200, 0, 1, 1, 5, 15, 200, 1, 1, 1, 6, 6, 7, 2, 2, 1}),
      script({3, 0, 4, 0, 5, 0, 40, 9, 1, 1, 8, 1, 2, 3, 4, 6, 4, 1, 6}),
      script(
          {3, 0, 4, 0, 5, 12, 0, 1, 1, 1, 5, 12, 0, 1, 1, 1, 5, 12, 0, 1, 1, 1, 7, 3, 0, 3, 1, 6, 7, 9, 9}),
  };
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return (64 << 10) + 512 * input_bytes;
}

}  // namespace portolan::fuzz
