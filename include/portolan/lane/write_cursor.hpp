// SPDX-License-Identifier: Apache-2.0

// Where the next frame goes, as long as it fits into the present extent; the library's Writer knows the rest.
#pragma once

#include <cstddef>
#include <cstdint>

#include <portolan/lane/frame_header.hpp>
#include <portolan/lane/prefetch.hpp>
#include <portolan/lane/shared_word.hpp>

namespace portolan {
inline namespace v1 {
namespace lane {

/// What a writer has posted, as it stands in the segment.
struct Posted {
  SharedWord<std::uint64_t> message_count;
  SharedWord<std::uint64_t> message_bytes;
};

/// Belongs to the posting thread.
class WriteCursor {
 public:
  /// Room for a payload in the present extent, 8-byte aligned; null: none here.
  [[nodiscard]] std::byte* room_here(std::uint64_t payload_bytes) const noexcept {
    const auto left_bytes = static_cast<std::uint64_t>(last_ - next_);
    return payload_bytes + kHeaderBytes <= left_bytes ? next_ + kHeaderBytes : nullptr;
  }

  /// Publishes the payload that was written there.
  void publish_here(FrameHeader header) noexcept {
    std::byte* const place = next_;
    const std::uint64_t frame_bytes = header.frame_bytes();
    next_ = place + frame_bytes;
    // [W1] relaxed; pairs with [R1]: [W2] carries it, so whoever sees this header finds a zero behind the
    // frame.
    header_at(next_).store(0, std::memory_order_relaxed);
    publish(place, header);
    count(header);
    prefetch(frame_bytes);
  }

  [[nodiscard]] std::uint64_t message_count() const noexcept { return message_count_; }
  [[nodiscard]] std::uint64_t message_bytes() const noexcept { return message_bytes_; }

 protected:
  explicit WriteCursor(Posted& posted) noexcept : posted_(&posted) {}
  WriteCursor(const WriteCursor&) = delete;
  WriteCursor& operator=(const WriteCursor&) = delete;
  ~WriteCursor() = default;

  static void publish(std::byte* place, FrameHeader header) noexcept {
#ifdef PORTOLAN_FAULT_WEAK_PUBLISH
    // The fault that the stress and race suites must report.
    header_at(place).store(header.word(), std::memory_order_relaxed);
#else
    // [W2] release; pairs with [R1], [R2], [A5], [A13]: the payload, and the zero behind it, come before the
    // header that names them.
    header_at(place).store(header.word(), std::memory_order_release);
#endif
  }

  // A message's, that was published.
  void count(FrameHeader header) noexcept {
    const std::uint64_t count = ++message_count_;
    const std::uint64_t bytes = message_bytes_ += header.payload_bytes();
    Posted& posted = *posted_;
    // [W3] relaxed; pairs with [A16], [W5]: for tools; an adopter counts again.
    posted.message_count.store(count, std::memory_order_relaxed);
    // [W4] relaxed; pairs with [A17]: as [W3].
    posted.message_bytes.store(bytes, std::memory_order_relaxed);
  }

  // The reader last touched these lines; asking for them 2 KiB ahead is half as fast again at 1 KiB, and does
  // no good outside these sizes (docs/decisions/prefetch-to-write.md).
  void prefetch(std::uint64_t frame_bytes) const noexcept {
    constexpr std::uint64_t kAheadBytes = 2048, kLeastBytes = 129, kMostBytes = 4200, kLineBytes = 64;
    if (frame_bytes < kLeastBytes || frame_bytes > kMostBytes) return;
    if (kAheadBytes + frame_bytes > static_cast<std::uint64_t>(last_ - next_)) return;
    for (std::uint64_t line = 0; line < frame_bytes; line += kLineBytes)
      prefetch_to_write(next_ + kAheadBytes + line);
  }

  std::byte* next_ = nullptr;  // the next header's place, which is zero
  std::byte* last_ = nullptr;  // the last place for a header in this extent: a JUMP's
  std::uint64_t message_count_ = 0;
  std::uint64_t message_bytes_ = 0;
  Posted* posted_;
};

}  // namespace lane
}  // namespace v1
}  // namespace portolan
