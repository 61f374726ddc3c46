// SPDX-License-Identifier: Apache-2.0

// How large a channel's segment is and where a direction's blocks lie in it: all from the limit its creator
// chose.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "ring/layout.hpp"

namespace portolan::ring {

inline constexpr std::uint64_t kMostLimitBytes = std::uint64_t{1}
                                                 << 39;  // "unlimited": what one mapping still takes
inline constexpr std::uint64_t kMostFrameBytes = std::uint64_t{1}
                                                 << 30;  // a header has 32 bits for the length

struct Geometry {
  std::uint64_t block_bytes = 0;
  std::uint32_t block_count = 0;  // a direction

  // 64 KiB blocks stay in the L2 cache when a writer cycles through two of them; a small channel gets 16
  // smaller ones, a page at least, and a large one blocks that 1024 bits can still count.
  static constexpr Geometry for_limit(std::uint64_t limit_bytes) noexcept {
    constexpr std::uint64_t kPage = 4096, kUsual = 64 * 1024;
    limit_bytes = std::min(limit_bytes, kMostLimitBytes);
    std::uint64_t block = kUsual;
    if (limit_bytes < 16 * kUsual) block = std::bit_ceil(limit_bytes / 16 < kPage ? kPage : limit_bytes / 16);
    if (limit_bytes > kMaxBlocks * kUsual) block = std::bit_ceil((limit_bytes + kMaxBlocks - 1) / kMaxBlocks);
    std::uint64_t count = (limit_bytes + block - 1) / block;
    if (count < 16) count = 16;
    return {block, static_cast<std::uint32_t>(count)};
  }

  constexpr std::uint64_t direction_bytes() const noexcept { return block_bytes * block_count; }
  constexpr std::uint64_t segment_bytes() const noexcept { return kControlBytes + 2 * direction_bytes(); }
  constexpr std::uint64_t direction_offset(Side writer) const noexcept {
    return kControlBytes + (writer == Side::b ? direction_bytes() : 0);
  }
  // A frame above this travels in a file of its own, so that a few large messages cannot fragment the blocks.
  constexpr std::uint64_t largest_frame_bytes() const noexcept {
    return std::min(direction_bytes() / 4, kMostFrameBytes);
  }

  // What a received header may say; everything else is another program's file.
  static constexpr bool plausible(std::uint64_t block_bytes, std::uint32_t block_count) noexcept {
    return std::has_single_bit(block_bytes) && block_bytes >= 4096 && block_bytes <= (1ull << 32) &&
           block_count >= 16 && block_count <= kMaxBlocks;
  }
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

static_assert(Geometry::for_limit(64 << 20) == Geometry{64 * 1024, 1024});
static_assert(Geometry::for_limit(1) == Geometry{4096, 16});
static_assert(Geometry::for_limit(~0ull) == Geometry{std::uint64_t{1} << 29, 1024});

}  // namespace portolan::ring
