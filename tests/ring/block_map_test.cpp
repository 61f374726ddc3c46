// SPDX-License-Identifier: Apache-2.0

// The block maps against a vector of bools.
#include "ring/block_map.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <memory>
#include <vector>

#include "random_seed.hpp"

using namespace portolan::ring;
using portolan::testing::Dice;
using portolan::testing::random_seed;

namespace {

struct Maps {
  BlockBits bits;
  std::vector<bool> naive = std::vector<bool>(kMaxBlocks, false);

  void set(std::uint32_t block) {
    bits.word(block / 64) |= 1ull << block % 64;
    naive[block] = true;
  }
  // Runs of both values whose lengths are far apart, so that words are full, empty and mixed.
  static Maps random(Dice& dice) {
    Maps maps;
    for (std::uint32_t block = 0; block < kMaxBlocks;) {
      const auto length = static_cast<std::uint32_t>(dice.roll(1, dice.one_in(3) ? 200 : 5));
      const bool value = dice.one_in(2);
      for (std::uint32_t i = 0; i < length && block < kMaxBlocks; ++i, ++block)
        if (value) maps.set(block);
    }
    return maps;
  }
  std::uint32_t next(std::uint32_t from, std::uint32_t end, bool value) const {
    while (from < end && naive[from] != value) ++from;
    return std::min(from, end);
  }
  std::optional<Run> lowest_run(std::uint32_t count, std::uint32_t from, std::uint32_t end) const {
    for (std::uint32_t first = from; first + count <= end; ++first) {
      if (next(first, first + count, false) == first + count)
        return Run{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(count)};
    }
    return std::nullopt;
  }
};

Run random_run(Dice& dice) {
  const auto first = static_cast<std::uint16_t>(dice.roll(0, kMaxBlocks - 1));
  return {first, static_cast<std::uint16_t>(dice.roll(1, kMaxBlocks - first))};
}

}  // namespace

TEST_CASE("bits, runs and counts of random maps are those that a vector of bools has") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  Dice dice(seed);
  for (int round = 0; round < 2000; ++round) {
    const Maps maps = Maps::random(dice);
    const auto end = static_cast<std::uint32_t>(dice.roll(1, kMaxBlocks));
    const auto from = static_cast<std::uint32_t>(dice.roll(0, end));
    HOLDS(maps.bits.next_set(from, end) == maps.next(from, end, true));
    HOLDS(maps.bits.next_clear(from, end) == maps.next(from, end, false));
    HOLDS(maps.bits.count(end) == std::count(maps.naive.begin(), maps.naive.begin() + end, true));
    const Run some = random_run(dice);
    const std::uint32_t past = std::uint32_t{some.block} + some.count;
    HOLDS(maps.bits.any_set(some) == (maps.next(some.block, past, true) != past));
    HOLDS(maps.bits.any() == (maps.next(0, kMaxBlocks, true) != kMaxBlocks));
    const auto count = static_cast<std::uint32_t>(dice.roll(1, dice.one_in(2) ? 4 : 150));
    HOLDS(maps.bits.lowest_run(count, from, end) == maps.lowest_run(count, from, end));
  }
}

TEST_CASE("flipping and clearing a run touches the run and nothing else") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  Dice dice(seed);
  for (int round = 0; round < 2000; ++round) {
    Maps maps = Maps::random(dice);
    const Run run = random_run(dice);
    const bool clear = dice.one_in(2);
    clear ? maps.bits.clear(run) : maps.bits.flip(run);
    for (std::uint32_t block = 0; block < kMaxBlocks; ++block) {
      const bool inside = block >= run.block && block < std::uint32_t{run.block} + run.count;
      HOLDS(maps.bits.test(block) == (inside ? !clear && !maps.naive[block] : maps.naive[block]));
    }
  }
}

TEST_CASE("a published flip changes the words of its run and can be loaded again") {
  Dice dice(random_seed());
  const auto shared = std::make_unique<BlockMapWords>();
  BlockBits own;
  for (int round = 0; round < 200; ++round) {
    publish_flip(own, random_run(dice), *shared);
    const BlockBits seen = load_map(*shared);
    for (std::size_t i = 0; i < shared->size(); ++i) HOLDS(seen.word(i) == own.word(i));
  }
}

TEST_CASE("blocks are free where both maps agree") {
  BlockBits one, two;
  CHECK(equal_blocks(one, two).count(kMaxBlocks) == kMaxBlocks);
  one.flip({10, 100});
  CHECK(equal_blocks(one, two).count(kMaxBlocks) == kMaxBlocks - 100);
  two.flip({10, 90});
  CHECK(equal_blocks(one, two).lowest_run(11, 0, kMaxBlocks) == Run{0, 11});
  CHECK(equal_blocks(one, two).lowest_run(101, 0, kMaxBlocks) == Run{110, 101});
  CHECK(!equal_blocks(one, two).lowest_run(kMaxBlocks, 0, kMaxBlocks));
}
