// SPDX-License-Identifier: Apache-2.0

// The words that stand between frames: headers, and the locations that cursors and JUMPs name.
// A header is 8 bytes, its payload follows, frames are aligned to 8. Zero means "nothing yet".
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <portolan/lane/frame_header.hpp>

#include "ring/layout.hpp"

namespace portolan::ring {

using lane::FrameHeader;
using lane::header_at;
using lane::kFirstExtent;
using lane::kHeaderBytes;
using lane::Kind;
using lane::round_up_8;
using lane::Run;

inline constexpr std::uint64_t kExtentHeadBytes = 24;  // an ExtentHead

// What was posted before an extent: whoever starts here can count on.
struct ExtentHead {
  std::uint64_t message_count = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t large_bytes = 0;
};
static_assert(sizeof(ExtentHead) == kExtentHeadBytes);

// How many bytes travel beside this frame, in a file of their own.
inline std::uint64_t large_body_bytes(FrameHeader header, const std::byte* payload) noexcept {
  if (!header.large_body()) return 0;
  std::uint64_t bytes = 0;
  lane::copy_shared(&bytes, payload + round_up_8(header.payload_bytes()) - sizeof bytes, sizeof bytes);
  return bytes;
}

// A place in a direction: an extent, and an offset into it counted in 8 bytes.
class Location {
 public:
  constexpr Location() noexcept = default;
  constexpr explicit Location(std::uint64_t word) noexcept : word_(word) {}
  constexpr Location(Run run, std::uint64_t offset_bytes) noexcept
      : word_(static_cast<std::uint64_t>(run.block) << 48 | static_cast<std::uint64_t>(run.count) << 32 |
              static_cast<std::uint32_t>(offset_bytes / 8)) {}

  constexpr std::uint64_t word() const noexcept { return word_; }
  constexpr Run run() const noexcept {
    return {static_cast<std::uint16_t>(word_ >> 48), static_cast<std::uint16_t>(word_ >> 32)};
  }
  constexpr std::uint64_t offset_bytes() const noexcept { return (word_ & 0xffffffff) * 8; }

 private:
  std::uint64_t word_ = 0;
};

static_assert(Location(Run{3, 2}, 4096).run() == Run{3, 2} &&
              Location(Run{3, 2}, 4096).offset_bytes() == 4096);
static_assert(FrameHeader::jump({7, 1}).run() == Run{7, 1} && FrameHeader::jump({7, 1}).known());
static_assert(FrameHeader::message(0, 1, false, false).plain_message() &&
              FrameHeader::message(0, 1, false, false).known());

}  // namespace portolan::ring
