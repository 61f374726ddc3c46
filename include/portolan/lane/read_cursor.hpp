// SPDX-License-Identifier: Apache-2.0

// Where the next frame comes from, as long as it lies in the present extent and nothing is out of the
// ordinary; the library's Reader knows the rest. What a peer wrote is loaded once, checked, then used.
#pragma once

#include <cstddef>
#include <cstdint>

#include <portolan/lane/frame_header.hpp>
#include <portolan/lane/shared_word.hpp>

namespace portolan {

namespace ring {
struct Extent;
}

inline namespace v1 {
namespace lane {

/// How far a reader has come, as it stands in the segment.
struct Progress {
  SharedWord<std::uint64_t> cursor;         // Location of the first frame not yet passed
  SharedWord<std::uint64_t> handed_count;   // messages handed to the user
  SharedWord<std::uint64_t> message_count;  // messages passed
  SharedWord<std::uint64_t> message_bytes;  // passed
};

/// A frame that was found.
struct Frame {
  FrameHeader header;
  std::byte* payload = nullptr;
  ring::Extent* extent = nullptr;
  std::uint64_t sequence = 0;     // number of the message in this direction; marks have none
  std::uint64_t past_offset = 0;  // where the next header stands in the extent
};

/// A message that was lent.
struct Loan {
  FrameHeader header;
  const std::byte* payload = nullptr;
  std::uint64_t sequence = 0;
};

/// Belongs to the receiving thread. Lends one message at a time; whatever else is asked of the Reader
/// meanwhile first makes a pin of that.
class ReadCursor {
 public:
  /// Lends the next message, if it is a plain one, everything before it is done with, and it is the first
  /// time that somebody sees it. False: perhaps there is one all the same.
  [[nodiscard]] bool lend(Loan& loan) noexcept {
    std::byte* const place = next_;
    // [R1] acquire; pairs with [W1], [W2], [W7], [W8], [W18]: the payload is visible behind its header.
    const FrameHeader header{header_at(place).load(std::memory_order_acquire)};
    if (!header.plain_message() || lent_ != kNothing || !fits(place, header)) return false;
    loan = {header, place + kHeaderBytes, passed_count_};
    lent_ = header.word();
    next_ = place + header.frame_bytes();
    store_handed(passed_count_ + 1);
    return true;
  }

  /// Nothing to lend, nothing in hand, and nothing that hung on that. False: perhaps so all the same.
  [[nodiscard]] bool dry_here() const noexcept {
    // [R10] relaxed: nothing is read on its word.
    return lent_ == kNothing && !owes_dry_look_ && header_at(next_).load(std::memory_order_relaxed) == 0;
  }

  /// The message of that sequence and size is done with, if it is the one that is lent. False: it is pinned.
  [[nodiscard]] bool take_back(std::uint64_t sequence, std::uint32_t payload_bytes) noexcept {
    if (sequence != passed_count_ || lent_ == kShut) return false;
    lent_ = kNothing;
    pass_to(sequence + 1, passed_bytes_ + payload_bytes, place_word());
    return true;
  }

 protected:
  explicit ReadCursor(Progress& progress) noexcept : progress_(&progress) {}
  ReadCursor(const ReadCursor&) = delete;
  ReadCursor& operator=(const ReadCursor&) = delete;
  ~ReadCursor() = default;

  static constexpr std::uint64_t kNothing = 0;
  static constexpr std::uint64_t kShut = ~std::uint64_t{0};

  [[nodiscard]] bool fits(const std::byte* place, FrameHeader header) const noexcept {
    // As numbers: what a header says may lead out of the extent.
    return reinterpret_cast<std::uintptr_t>(place) + header.frame_bytes() <=
           reinterpret_cast<std::uintptr_t>(last_);
  }
  // The Location of the next header.
  [[nodiscard]] std::uint64_t place_word() const noexcept {
    return place_base_ + reinterpret_cast<std::uintptr_t>(next_) / 8;
  }
  // [R3] relaxed; pairs with [A8]: stored before the user sees the message, so a message that was never
  // handed out is never marked as redelivered.
  void store_handed(std::uint64_t count) noexcept {
    progress_->handed_count.store(count, std::memory_order_relaxed);  // [R3]
  }
  // Everything before `place` counts as read.
  void pass_to(std::uint64_t count, std::uint64_t bytes, std::uint64_t place) noexcept {
    passed_count_ = count;
    passed_bytes_ = bytes;
    Progress& progress = *progress_;
    // [R4] release; pairs with [A6]: what the owner did with a message comes before the cursor that passes
    // it.
    progress.cursor.store(place, std::memory_order_release);
    // [R5] release; pairs with [W13]: a writer that sees the count may tell its user that the message was
    // read.
    progress.message_count.store(count, std::memory_order_release);
    // [R6] relaxed; pairs with [W14]: the byte count follows the message count.
    progress.message_bytes.store(bytes, std::memory_order_relaxed);
  }
  void store_cursor(std::uint64_t place) noexcept {
    progress_->cursor.store(place, std::memory_order_release);  // [R4]
  }

  std::byte* next_ = nullptr;   // the next header's place
  std::byte* begin_ = nullptr;  // of the extent being read
  std::byte* last_ = nullptr;   // the last place for a header in it
  std::uint64_t lent_ = kShut;  // the lent message's header
  bool owes_dry_look_ = true;   // what the Reader does when it finds nothing, it has not done yet
  std::uint64_t passed_count_ = 0;
  std::uint64_t passed_bytes_ = 0;
  std::uint64_t place_base_ = 0;  // the Location of the extent's beginning, less the eighth of its address
  Progress* progress_;
};

}  // namespace lane
}  // namespace v1
}  // namespace portolan
