// SPDX-License-Identifier: Apache-2.0

// One direction's memory without a segment: its lines and its blocks, shared with forked children, an
// unmapped page behind each, so that reading past an end is a crash and not luck. Blocks start full of
// plausible frames, as used blocks are: a header that nobody wrote is then read as a message that nobody
// posted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <sys/mman.h>

#include "ring/block_store.hpp"
#include "ring/geometry.hpp"
#include "ring/layout.hpp"

namespace portolan::testing {

class RingMemory final : public ring::BlockStore {
 public:
  static constexpr ring::Geometry kSmall{4096, 16};

  explicit RingMemory(ring::Geometry geometry = kSmall) : geometry_(geometry) {
    bytes_ = kPage + kPage + geometry.direction_bytes() + kPage;
    void* const all = ::mmap(nullptr, bytes_, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<std::byte*>(all);
    blocks_ = begin_ + 2 * kPage;
    if (::mprotect(begin_, kPage, PROT_READ | PROT_WRITE) != 0 ||
        ::mprotect(blocks_, geometry.direction_bytes(), PROT_READ | PROT_WRITE) != 0)
      throw std::bad_alloc();
    wipe();
  }
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;
  ~RingMemory() { ::munmap(begin_, bytes_); }

  // A channel that nobody has used yet.
  void wipe() {
    std::memset(begin_, 0, kPage);
    constexpr std::uint64_t kJunk = 8ull << 32 | 1;  // "a message of 8 bytes"
    auto* const words = reinterpret_cast<std::uint64_t*>(blocks_);
    std::fill_n(words, geometry_.direction_bytes() / 8, kJunk);
  }
  void copy(const RingMemory& other) {
    std::memcpy(begin_, other.begin_, kPage);
    std::memcpy(blocks_, other.blocks_, geometry_.direction_bytes());
  }

  ring::Geometry geometry() const noexcept { return geometry_; }
  // At the end of its page, so that the first extent ends where the unmapped page begins.
  ring::DirectionLines& lines() const noexcept {
    return *std::launder(
        reinterpret_cast<ring::DirectionLines*>(begin_ + kPage - sizeof(ring::DirectionLines)));
  }
  std::span<std::byte> lines_bytes() const noexcept {
    return {begin_ + kPage - sizeof(ring::DirectionLines), sizeof(ring::DirectionLines)};
  }
  std::span<std::byte> blocks() const noexcept { return {blocks_, geometry_.direction_bytes()}; }

  // Blocks that are not free, by the maps alone.
  std::uint32_t used_blocks() const noexcept {
    std::uint32_t used = 0;
    for (std::uint32_t block = 0; block < geometry_.block_count; ++block) {
      const auto bit = [block](const ring::BlockMapWords& map) {
        return map[block / 64].load(std::memory_order_relaxed) >> block % 64 & 1;
      };
      if (bit(lines().alloc) != bit(lines().rel)) ++used;
    }
    return used;
  }

  std::byte* map_blocks() noexcept override { return refuse_mapping ? nullptr : blocks_; }
  bool allocate(ring::Run run) noexcept override {
    if (run.count == 0 || run.block + run.count > geometry_.block_count) outside = true;
    allocated_blocks += run.count;
    return !refuse_allocation;
  }

  bool refuse_mapping = false;
  bool refuse_allocation = false;
  std::uint32_t allocated_blocks = 0;
  bool outside = false;  // somebody asked for blocks that are none

 private:
  static constexpr std::size_t kPage = 4096;

  ring::Geometry geometry_;
  std::size_t bytes_ = 0;
  std::byte* begin_ = nullptr;
  std::byte* blocks_ = nullptr;
};

inline constexpr std::uint64_t kBlock = RingMemory::kSmall.block_bytes;

}  // namespace portolan::testing
