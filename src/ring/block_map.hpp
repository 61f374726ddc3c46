// SPDX-License-Identifier: Apache-2.0

// The two block maps of a direction. A block is free when its `alloc` and `rel` bits are equal; the writer
// toggles one map, the reader the other, so there is no list that a crash could leave half-linked.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "ring/frame.hpp"
#include "ring/layout.hpp"

namespace portolan::ring {

// A plain copy of a map, or of the difference of two.
class BlockBits {
 public:
  bool test(std::uint32_t block) const noexcept { return (words_[block / 64] >> block % 64 & 1) != 0; }
  bool any() const noexcept {
    return std::any_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word != 0; });
  }
  std::uint64_t& word(std::size_t index) noexcept { return words_[index]; }
  std::uint64_t word(std::size_t index) const noexcept { return words_[index]; }

  void flip(Run run) noexcept {
    for_each_word(run, [this](std::size_t index, std::uint64_t mask) { words_[index] ^= mask; });
  }
  void set(Run run) noexcept {
    for_each_word(run, [this](std::size_t index, std::uint64_t mask) { words_[index] |= mask; });
  }
  bool any_set(Run run) const noexcept {
    const std::uint32_t past = std::uint32_t{run.block} + run.count;
    return next_set(run.block, past) != past;
  }
  bool all_set(Run run) const noexcept {
    const std::uint32_t past = std::uint32_t{run.block} + run.count;
    return next_clear(run.block, past) == past;
  }
  void clear(Run run) noexcept {
    for_each_word(run, [this](std::size_t index, std::uint64_t mask) { words_[index] &= ~mask; });
  }

  // First set bit at or after `from`, or `end`.
  std::uint32_t next_set(std::uint32_t from, std::uint32_t end) const noexcept { return next(from, end, 0); }
  std::uint32_t next_clear(std::uint32_t from, std::uint32_t end) const noexcept {
    return next(from, end, ~0ull);
  }

  // Set bits below `end`.
  std::uint32_t count(std::uint32_t end) const noexcept {
    std::uint32_t sum = 0;
    for_each_word({0, static_cast<std::uint16_t>(end)}, [&](std::size_t index, std::uint64_t mask) {
      sum += static_cast<std::uint32_t>(std::popcount(words_[index] & mask));
    });
    return sum;
  }

  // The lowest run of `count` set bits at or after `from` and below `end`.
  std::optional<Run> lowest_run(std::uint32_t count, std::uint32_t from, std::uint32_t end) const noexcept {
    for (std::uint32_t first = next_set(from, end); first < end;) {
      const std::uint32_t past = next_clear(first, end);
      if (past - first >= count)
        return Run{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(count)};
      first = next_set(past, end);
    }
    return std::nullopt;
  }

  template <class F>
  static void for_each_word(Run run, F&& apply) {
    for (std::uint32_t block = run.block, past = block + run.count; block < past;) {
      const std::uint32_t in_word = std::min(past - block, 64 - block % 64);
      const std::uint64_t mask = (in_word == 64 ? ~0ull : (1ull << in_word) - 1) << block % 64;
      apply(block / 64, mask);
      block += in_word;
    }
  }

 private:
  std::uint32_t next(std::uint32_t from, std::uint32_t end, std::uint64_t inverted) const noexcept {
    while (from < end) {
      const std::uint64_t word = (words_[from / 64] ^ inverted) >> from % 64;
      if (word != 0) return std::min(end, from + static_cast<std::uint32_t>(std::countr_zero(word)));
      from = (from / 64 + 1) * 64;
    }
    return end;
  }

  std::array<std::uint64_t, kMaxBlocks / 64> words_{};
};

// What is set in both.
inline BlockBits both(const BlockBits& one, const BlockBits& two) noexcept {
  BlockBits result;
  for (std::size_t i = 0; i < kMaxBlocks / 64; ++i) result.word(i) = one.word(i) & two.word(i);
  return result;
}

// Any look at a map: at the other side's, and an adopter's at what is now its own.
inline BlockBits load_map(const BlockMapWords& map) noexcept {
  BlockBits bits;
  // [B1] acquire; pairs with [B2], [A4], [A14]: the reader is done with a block before the writer writes into
  // it again.
  for (std::size_t i = 0; i < map.size(); ++i) bits.word(i) = map[i].load(std::memory_order_acquire);
  return bits;
}

// Flips `run` in the caller's private copy and publishes the words it touched.
inline void publish_flip(BlockBits& own, Run run, BlockMapWords& map) noexcept {
  own.flip(run);
  BlockBits::for_each_word(run, [&](std::size_t index, std::uint64_t) {
    // [B2] release; pairs with [B1]: everything done to the blocks comes before their hand-back.
    map[index].store(own.word(index), std::memory_order_release);
  });
}

// Blocks whose bits are equal, below `end`.
inline BlockBits equal_blocks(const BlockBits& one, const BlockBits& two) noexcept {
  BlockBits equal;
  for (std::size_t i = 0; i < kMaxBlocks / 64; ++i) equal.word(i) = ~(one.word(i) ^ two.word(i));
  return equal;
}

}  // namespace portolan::ring
