// SPDX-License-Identifier: Apache-2.0

#include "ring/scout.hpp"

namespace portolan::ring {

// At the same message the reader may be farther, behind a mark; what it has left may be written over.
void Scout::keep_up() noexcept {
  if (next_ != nullptr && sequence_ > reader_->taken_count()) return;
  sequence_ = reader_->taken_count();
  begin_ = reader_->begin_;
  last_ = reader_->last_;
  next_ = reader_->next_;
  run_ = reader_->extent_->run;
  frames_ = 0;
}

bool Scout::dry() noexcept {
  keep_up();
  // [R2] acquire; pairs with [W2], [W8]: as in Reader::dry.
  return header_at(next_).load(std::memory_order_acquire) == 0;
}

Reader::Look Scout::follow(Run run) noexcept {
  if (!reader_->valid(run)) return Reader::Look::violation;
  const std::span<std::byte> memory = reader_->memory_of(run);
  if (memory.empty()) return Reader::Look::refused;
  run_ = run;
  begin_ = memory.data();
  last_ = begin_ + memory.size() - kHeaderBytes;
  next_ = begin_ + kExtentHeadBytes;
  return Reader::Look::message;
}

Reader::Look Scout::look(Reader::Frame& frame) noexcept {
  keep_up();
  for (bool after_jump = false;;) {
    // [R1] acquire; pairs with [W2], [W8]: the payload is visible behind its header.
    const FrameHeader header{header_at(next_).load(std::memory_order_acquire)};
    if (header.kind() == Kind::nothing) return Reader::Look::nothing;
    // A ring that a peer has bent into a circle shows more than it can hold.
    if (!header.known() || ++frames_ > reader_->most_unread_frames()) return Reader::Look::violation;
    if (header.kind() == Kind::jump) {
      if (after_jump) return Reader::Look::violation;
      if (const Reader::Look followed = follow(header.run()); followed != Reader::Look::message)
        return followed;
      after_jump = true;
      continue;
    }
    after_jump = false;
    if (header.frame_bytes() > static_cast<std::uint64_t>(last_ - next_)) return Reader::Look::violation;
    frame = {header, next_ + kHeaderBytes, nullptr, sequence_,
             static_cast<std::uint64_t>(next_ - begin_) + header.frame_bytes()};
    next_ += header.frame_bytes();
    if (header.kind() == Kind::mark) continue;
    ++sequence_;
    return Reader::Look::message;
  }
}

}  // namespace portolan::ring
