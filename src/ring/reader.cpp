// SPDX-License-Identifier: Apache-2.0

#include "ring/reader.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

namespace portolan::ring {

namespace {

// Unread, with no message among them. An adoption leaves one mark and a run that was given up another; JUMPs
// in a circle with a mark between them would be an endless loop.
constexpr std::uint32_t kMostMarksInARow = 65'536;

}  // namespace

// Empty: the kernel does not map it.
std::span<std::byte> Reader::memory_of(Run run) noexcept {
  if (run == kFirstExtent) return {lines_->first_extent, kFirstExtentBytes};
  if (blocks_ == nullptr && (blocks_ = store_->map_blocks()) == nullptr) return {};
  return {blocks_ + run.block * geometry_.block_bytes, run.count * geometry_.block_bytes};
}

bool Reader::open(Run run) noexcept {
  const std::span<std::byte> memory = memory_of(run);
  if (memory.empty()) return false;
  try {
    if (spare_.empty()) spare_.emplace_back();
  } catch (const std::bad_alloc&) {
    return false;
  }
  extents_.splice(extents_.end(), spare_, spare_.begin());
  extent_ = &extents_.back();
  extent_->begin = memory.data();
  extent_->bytes = memory.size();
  extent_->run = run;
  extent_->left = false;
  // [P4] relaxed; pairs with [P1]: nobody else knows the extent yet.
  extent_->holders.store(1, std::memory_order_relaxed);
  begin_ = memory.data();
  last_ = begin_ + memory.size() - kHeaderBytes;
  next_ = begin_ + kExtentHeadBytes;
  place_base_ = Location(run, 0).word() - reinterpret_cast<std::uintptr_t>(begin_) / 8;
  const std::lock_guard lock(releases_mutex_);
  in_hand_.set(run);
  return true;
}

Reader::Look Reader::look_closer(FrameHeader header, Frame& frame) noexcept {
  if (header.kind() == Kind::nothing) {
    marks_in_a_row_ = 0;
    if (suspicious_) settle_suspects();
    owes_dry_look_ = false;
    return Look::nothing;
  }
  if (!header.known()) return Look::violation;
  if (header.kind() == Kind::jump) {
    // No honest writer publishes an extent without a frame in it; a chain of JUMPs would be an endless loop.
    if (after_jump_) return Look::violation;
    const Look followed = follow(header.run());
    if (followed != Look::message) return followed;
    after_jump_ = true;
    const Look found = look(frame);
    after_jump_ = false;
    return found;
  }
  if (!fits(next_, header)) return Look::violation;
  describe(header, frame);
  if (header.kind() == Kind::message) return Look::message;
  const bool endless = marks_in_a_row_ >= kMostMarksInARow && marks_behind_count_ == taken_count();
  return endless ? Look::violation : Look::mark;
}

Reader::Look Reader::follow(Run run) noexcept {
  pin_lent();
  // A correct writer takes blocks that were handed back. Of others there would be two extents, and the pins
  // of the one would be let go of as those of the other.
  if (!valid(run) || has_in_hand(run)) return Look::violation;
  Extent& old = *extent_;
  if (!open(run)) return Look::refused;
  old.left = true;
  old.past_sequence = taken_count_;
  if (suspicious_) {
    suspects_.clear(run);
    if (run == suspect_intent_) settle_suspects();
  }
  hand_back();
  return Look::message;
}

// Gives up every extent that was left, whose messages are all passed and which no event looks into.
void Reader::hand_back() noexcept {
  for (auto extent = extents_.begin(); extent->left && extent->past_sequence <= passed_count_;) {
    const auto next = std::next(extent);
    // The cursor stands beyond an extent before its blocks are handed back.
    if (extent->past_sequence == passed_count_)
      store_cursor((passed_count_ == taken_count_ ? place() : Location(next->run, kExtentHeadBytes)).word());
    if (extent->event_pins == 0) give_up(extent);
    extent = next;
  }
}

// The last of its holders hands it back: this reader, or whoever lets go of the last kept message.
void Reader::give_up(std::list<Extent>::iterator extent) noexcept {
  const std::lock_guard lock(releases_mutex_);
  if (!extent->let_go()) return kept_.splice(kept_.end(), extents_, extent);
  publish_release(extent->run);
  spare_.splice(spare_.end(), extents_, extent);
  handed_back_ = true;
}

Extent* Reader::extent_of(const std::byte* payload) noexcept {
  for (Extent& extent : extents_)
    if (payload >= extent.begin && payload < extent.begin + extent.bytes) return &extent;
  return nullptr;
}

void Reader::hand_back_kept() noexcept {
  const std::lock_guard lock(releases_mutex_);
  kept_.remove_if([this](const Extent& extent) {
    if (extent.held()) return false;
    publish_release(extent.run);
    return true;
  });
}

void Reader::publish_release(Run run) noexcept {
  if (run == kFirstExtent) return;
  in_hand_.clear(run);
  publish_flip(rel_, run, lines_->rel);
  count_release();
}

void Reader::count_release() noexcept {
  // [R8] release; pairs with [S7]: a writer that waits for room finds it once it sees the count.
  lines_->reader_sleep.release_count.store(++release_count_, std::memory_order_release);
}

std::uint32_t Reader::free_blocks() const noexcept {
  const std::lock_guard lock(releases_mutex_);
  return equal_blocks(load_map(lines_->alloc), rel_).count(geometry_.block_count);
}

void Reader::count_large_body(std::uint64_t bytes) noexcept {
  large_bytes_ += bytes;
  // [R7] release; pairs with [W10]: the body's file is closed before its bytes count as room again.
  lines_->reader.large_bytes.store(large_bytes_, std::memory_order_release);
  count_packet();
}

void Reader::count_packet() noexcept {
  const std::lock_guard lock(releases_mutex_);
  count_release();
  handed_back_ = true;
}

bool Reader::adopt(Adoption how) noexcept {
  rel_ = load_map(lines_->rel);
  // Which blocks a dead reader left but never handed back: the taken ones, loaded before the intent. The
  // other order would take a run for abandoned that the writer is about to publish.
  const BlockBits alloc = load_map(lines_->alloc);
  // [A7] acquire; pairs with [W6]: this intent is not older than the blocks just seen taken.
  suspect_intent_ = Location{lines_->writer.intent.load(std::memory_order_acquire)}.run();
  // [A6] acquire; pairs with [R4]: everything before the cursor is done with.
  const Location cursor{lines_->reader.progress.cursor.load(std::memory_order_acquire)};
  const Run run = cursor.run();
  if (run != kFirstExtent && !valid(run)) return false;
  if (!open(run)) return false;
  const std::uint64_t offset = cursor.offset_bytes() == 0 ? kExtentHeadBytes : cursor.offset_bytes();
  if (offset < kExtentHeadBytes || offset + kHeaderBytes > extent_->bytes) return false;
  next_ = begin_ + offset;
  for (std::size_t i = 0; i < kMaxBlocks / 64; ++i) suspects_.word(i) = alloc.word(i) ^ rel_.word(i);
  if (valid(run)) suspects_.clear(run);
  if (valid(suspect_intent_)) suspects_.clear(suspect_intent_);
  suspicious_ = suspects_.any();
  load_counts(how);
  return true;
}

bool Reader::valid(Run run) const noexcept {
  return run.count != 0 && run.block + run.count <= geometry_.block_count;
}

bool Reader::has_in_hand(Run run) const noexcept {
  const std::lock_guard lock(releases_mutex_);
  return in_hand_.any_set(run);
}

void Reader::load_counts(Adoption how) noexcept {
  // [A8] relaxed; pairs with [R3]: ordered by the adoption itself, as are the other counts.
  const std::uint64_t handed = lines_->reader.progress.handed_count.load(std::memory_order_relaxed);
  // [A9] relaxed; pairs with [R7]: as [A8]; after a death it is counted again.
  large_bytes_ = lines_->reader.large_bytes.load(std::memory_order_relaxed);
  // [A10] relaxed; pairs with [R8]: as [A8]; a waiting writer must see it change, whatever it was.
  release_count_ = lines_->reader_sleep.release_count.load(std::memory_order_relaxed);
  // [A11] relaxed; pairs with [R5]: as [A8].
  passed_count_ = lines_->reader.progress.message_count.load(std::memory_order_relaxed);
  // [A12] relaxed; pairs with [R6]: as [A8].
  passed_bytes_ = lines_->reader.progress.message_bytes.load(std::memory_order_relaxed);
  // After a move too, whose owner may have adopted a dead one's messages; its own were all passed.
  redelivered_below_ = handed;
  if (how == Adoption::after_death) {
    count_to(static_cast<std::uint64_t>(next_ - begin_));
    pass_to(passed_count_, passed_bytes_, place_word());
    count_large_body(0);
  }
  taken_count_ = passed_count_;
  taken_bytes_ = passed_bytes_;
  lend_again();
}

// The dead owner may have stored its cursor and not yet its counts: the extent knows what came before it.
// With the owner everything is gone that it had in hand, the bodies of passed messages too.
void Reader::count_to(std::uint64_t offset) noexcept {
  ExtentHead head;
  lane::copy_shared(&head, extent_->begin, sizeof head);
  passed_count_ = head.message_count;
  passed_bytes_ = head.message_bytes;
  large_bytes_ = head.large_bytes;
  for (std::uint64_t at = kExtentHeadBytes; at < offset;) {
    // [A13] acquire; pairs with [W2]: a frame that was passed is followed by its next header.
    const FrameHeader header{header_at(extent_->begin + at).load(std::memory_order_acquire)};
    if (!header.known() || header.kind() == Kind::jump) return;
    if (header.frame_bytes() > offset - at) return;
    const std::byte* const payload = extent_->begin + at + kHeaderBytes;
    at += header.frame_bytes();
    if (header.kind() != Kind::message) continue;
    ++passed_count_;
    passed_bytes_ += header.payload_bytes();
    large_bytes_ += large_body_bytes(header, payload);
  }
}

// The ring is dry, or the run that was being taken at the adoption has come: what is still suspect was left
// behind by the dead reader, whose cursor had passed it.
void Reader::settle_suspects() noexcept {
  suspicious_ = false;
  const std::lock_guard lock(releases_mutex_);
  for (std::size_t i = 0; i < kMaxBlocks / 64; ++i) {
    if (suspects_.word(i) == 0) continue;
    rel_.word(i) ^= suspects_.word(i);
    // [A14] release; pairs with [B1]: as [B2], for the dead owner's reads.
    lines_->rel[i].store(rel_.word(i), std::memory_order_release);
  }
  count_release();
  handed_back_ = true;
}

}  // namespace portolan::ring
