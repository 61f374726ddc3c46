// SPDX-License-Identifier: Apache-2.0

#include "ring/writer.hpp"

#include <algorithm>
#include <cstring>

namespace portolan::ring {

bool Writer::open(Run run) noexcept {
  std::uint64_t extent_bytes = kFirstExtentBytes;
  if (run == kFirstExtent) {
    extent_ = lines_->first_extent;
  } else {
    if (run.count == 0 || run.block + run.count > geometry_.block_count || !map()) return false;
    extent_ = blocks_ + run.block * geometry_.block_bytes;
    extent_bytes = run.count * geometry_.block_bytes;
  }
  next_ = extent_ + kExtentHeadBytes;
  last_ = extent_ + extent_bytes - kHeaderBytes;
  run_ = run;
  return true;
}

bool Writer::map() noexcept {
  return blocks_ != nullptr || (blocks_ = store_->map_blocks()) != nullptr;
}

std::nullopt_t Writer::refuse(Refusal why) noexcept {
  refusal_ = why;
  return std::nullopt;
}

std::byte* Writer::next_room() noexcept {
  return blocks_ + next_run_.block * geometry_.block_bytes + kExtentHeadBytes + kHeaderBytes;
}

std::uint64_t Writer::blocks_for(std::uint64_t payload_bytes) const noexcept {
  const std::uint64_t needed_bytes =
      kExtentHeadBytes + kHeaderBytes + round_up_8(payload_bytes) + kHeaderBytes;
  return (needed_bytes + geometry_.block_bytes - 1) / geometry_.block_bytes;
}

std::byte* Writer::reserve_in_new_extent(std::uint64_t payload_bytes) noexcept {
  if (payload_bytes > largest_payload_bytes()) return refuse(Refusal::full), nullptr;
  const std::uint64_t blocks = blocks_for(payload_bytes);
  if (!map()) {
    refusal_ = Refusal::kernel;
    return nullptr;
  }
  // Too small for this one: it goes to the reader empty.
  if (next_run_.count != 0 && blocks > next_run_.count) commit_in_next_run(FrameHeader::mark(0));
  if (next_run_.count == 0) {
    const std::lock_guard lock(blocks_mutex_);
    const std::optional<Run> run = find_run(blocks);
    if (!run) return nullptr;
    take_run(*run);
  }
  in_next_run_ = true;
  return next_room();
}

std::optional<Run> Writer::find_run(std::uint64_t blocks) noexcept {
  // At least two messages of that size: else what the second does not fit into is lost to the limit.
  if (preferred_blocks_ >= 2 * blocks)
    if (const auto run = find_free_run(preferred_blocks_)) return run;
  return find_free_run(blocks);
}

std::optional<Run> Writer::find_free_run(std::uint64_t blocks) noexcept {
  if (blocks > geometry_.block_count) return refuse(Refusal::full);
  const std::uint64_t large_bytes = unread_large_bytes(), all_bytes = geometry_.direction_bytes();
  const std::uint64_t allowed_bytes = large_bytes < all_bytes ? all_bytes - large_bytes : 0;
  const auto run = choose(equal_blocks(alloc_, load_map(lines_->rel)), static_cast<std::uint32_t>(blocks),
                          static_cast<std::uint32_t>(allowed_bytes / geometry_.block_bytes));
  if (!run) return refuse(Refusal::full);
  if (!map() || !(backed_.all_set(*run) || store_->allocate(*run))) return refuse(Refusal::kernel);
  backed_.set(*run);
  touched_.set(*run);
  return run;
}

// What the reader has just left is still in its cache, from where it comes slowest of all
// (docs/decisions/round-in-four.md). A quiet channel stays in the lowest blocks, and small.
std::optional<Run> Writer::choose(const BlockBits& free, std::uint32_t blocks,
                                  std::uint32_t end) const noexcept {
  constexpr std::uint32_t kRuns = 4;
  const std::uint32_t past = std::uint32_t{run_.block} + run_.count;
  if (preferred_blocks_ > 1)
    if (const auto run = free.lowest_run(blocks, past, std::min(kRuns * blocks, end))) return run;
  return free.lowest_run(blocks, 0, end);
}

void Writer::take_run(Run run) noexcept {
  // [W6] release; pairs with [A2], [A7]: whoever finds blocks taken finds the intent that took them,
  // or a later one.
  lines_->writer.intent.store(Location(run, 0).word(), std::memory_order_release);
  publish_flip(alloc_, run, lines_->alloc);
  next_run_ = run;
}

void Writer::publish_mark_here(FrameHeader header) noexcept {
  std::byte* const place = next_;
  next_ += header.frame_bytes();
  // [W18] relaxed; pairs with [R1]: as [W1].
  header_at(next_).store(0, std::memory_order_relaxed);
  publish(place, header);
}

std::byte* Writer::commit_in_next_run(FrameHeader header) noexcept {
  std::byte* const extent = blocks_ + next_run_.block * geometry_.block_bytes;
  const ExtentHead head{message_count_, message_bytes_, large_bytes_};
  lane::copy_shared(extent, &head, sizeof head);
  std::byte* const frame = extent + kExtentHeadBytes;
  // [W7] relaxed; pairs with [R1]: the JUMP's release publishes the whole frame.
  header_at(frame + header.frame_bytes()).store(0, std::memory_order_relaxed);
  publish(frame, header);
  if (header.kind() == Kind::message) {
    count(header);
    if (header.large_body()) count_large_body(large_body_bytes(header, frame + kHeaderBytes));
  }
  std::byte* const jump = next_;
  // [W8] release; pairs with [R1], [R2], [A5]: one store publishes the extent and its first frame.
  header_at(jump).store(FrameHeader::jump(next_run_).word(), std::memory_order_release);
  open(next_run_);
  next_ = frame + header.frame_bytes();
  next_run_ = {0, 0};
  in_next_run_ = false;
  // [W9] release; pairs with [A1]: stored after the JUMP, so an adopter starts here or one JUMP earlier.
  lines_->writer.extent.store(Location(run_, 0).word(), std::memory_order_release);
  return jump;
}

std::byte* Writer::extend(std::uint64_t payload_bytes, std::uint64_t written_bytes) noexcept {
  // Found before anything changes: once the old run is published empty, the reservation in it is gone.
  if (payload_bytes > largest_payload_bytes()) return refuse(Refusal::full), nullptr;
  std::optional<Run> run;
  std::unique_lock lock(blocks_mutex_);
  const std::uint64_t blocks = blocks_for(payload_bytes);
  const bool fits = room_here(payload_bytes) != nullptr || blocks <= next_run_.count;
  if (!fits && !(run = find_run(blocks))) return nullptr;
  // Nobody else writes here, so the old room keeps its bytes until they are moved, but for the first eight:
  // the old run may be published empty, and the header behind its mark falls on them.
  const std::byte* const old = in_next_run_ ? next_room() : next_ + kHeaderBytes;
  std::uint64_t first_bytes = 0;
  std::memcpy(&first_bytes, old, std::min<std::uint64_t>(written_bytes, sizeof first_bytes));
  if (run) {
    if (next_run_.count != 0) commit_in_next_run(FrameHeader::mark(0));
    take_run(*run);
  }
  lock.unlock();
  in_next_run_ = false;
  std::byte* const room = reserve(payload_bytes);
  if (room == old) return room;
  std::memmove(room, old, written_bytes);
  std::memcpy(room, &first_bytes, std::min<std::uint64_t>(written_bytes, sizeof first_bytes));
  return room;
}

std::uint64_t Writer::unread_large_bytes() const noexcept {
  // [W10] acquire; pairs with [R7]: a body that counts as read has been let go.
  const std::uint64_t read = lines_->reader.large_bytes.load(std::memory_order_acquire);
  return read <= large_bytes_ ? large_bytes_ - read : 0;
}

bool Writer::large_body_fits(std::uint64_t bytes) const noexcept {
  const std::uint64_t unread = unread_large_bytes();
  // A lone message may be larger than the limit: any size works on an empty channel.
  return unread == 0 || unread + bytes <= geometry_.direction_bytes();
}

void Writer::count_large_body(std::uint64_t bytes) noexcept {
  large_bytes_ += bytes;
  // [W11] relaxed; pairs with [A3]: exact for the next owner after a move, whose adoption orders it.
  lines_->writer.large_bytes.store(large_bytes_, std::memory_order_relaxed);
}

void Writer::store_place() noexcept {
  // [W12] release; pairs with [A1]: everything published so far comes before the place.
  lines_->writer.extent.store(Location(run_, offset_bytes()).word(), std::memory_order_release);
}

std::uint32_t Writer::free_blocks() const noexcept {
  const std::lock_guard lock(blocks_mutex_);
  return equal_blocks(alloc_, load_map(lines_->rel)).count(geometry_.block_count);
}

Run Writer::idle_run(std::uint32_t first, std::uint32_t most_blocks) const noexcept {
  const BlockBits idle = both(touched_, equal_blocks(alloc_, load_map(lines_->rel)));
  const std::uint32_t from = idle.next_set(first, geometry_.block_count);
  if (from >= geometry_.block_count) return {0, 0};
  const std::uint32_t past =
      std::min(idle.next_clear(from, geometry_.block_count), from + std::max(most_blocks, 1u));
  return {static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(past - from)};
}

bool Writer::adopt(Adoption how) noexcept {
  alloc_ = load_map(lines_->alloc);
  // [A2] acquire; pairs with [W6]: the intent of whatever blocks are seen taken; zero only if no owner has
  // ever taken one.
  const Location intent{lines_->writer.intent.load(std::memory_order_acquire)};
  // Which blocks the owners before this one have left with memory, nobody knows.
  if (intent.word() != 0) touched_.set({0, static_cast<std::uint16_t>(geometry_.block_count)});
  // [A1] acquire; pairs with [W9], [W12], [W15]: the extent's frames are visible.
  const Location place{lines_->writer.extent.load(std::memory_order_acquire)};
  // [A3] relaxed; pairs with [W11]: exact after a move; after a death the walk counts again.
  large_bytes_ = lines_->writer.large_bytes.load(std::memory_order_relaxed);
  // [A16] relaxed; pairs with [W3]: exact after a move; after a death the walk counts again.
  message_count_ = lines_->writer.posted.message_count.load(std::memory_order_relaxed);
  // [A17] relaxed; pairs with [W4]: as [A16].
  message_bytes_ = lines_->writer.posted.message_bytes.load(std::memory_order_relaxed);
  if (!open(place.run())) return false;
  const std::uint64_t offset_bytes = place.offset_bytes();
  const bool exact = how == Adoption::after_move && offset_bytes >= kExtentHeadBytes &&
                     offset_bytes <= static_cast<std::uint64_t>(last_ - extent_);
  if (exact)
    next_ = extent_ + offset_bytes;
  else if (!walk_to_end())
    return false;
  // [W15] release; pairs with [A1]: the dead owner may have been killed before it stored where its last JUMP
  // led, and the run that its place still names may be taken again.
  if (run_ != place.run()) lines_->writer.extent.store(Location(run_, 0).word(), std::memory_order_release);
  adopt_intent(intent.run());
  return true;
}

// A run that was taken and never published becomes this owner's next extent. It is not handed back: a reader
// that is being adopted at this moment may count it among what a dead reader left behind ("Two adoptions at
// once"). Its pages are there: they were allocated before the intent was stored.
void Writer::adopt_intent(Run intent) noexcept {
  if (intent.count == 0 || intent.block + intent.count > geometry_.block_count || intent == run_) return;
  const BlockBits rel = load_map(lines_->rel);
  BlockBits::for_each_word(intent, [&](std::size_t index, std::uint64_t mask) {
    alloc_.word(index) = (alloc_.word(index) & ~mask) | (~rel.word(index) & mask);
    // [A4] release; pairs with [B1]: the dead owner may have taken only some of the run's words.
    lines_->alloc[index].store(alloc_.word(index), std::memory_order_release);
  });
  next_run_ = intent;
}

// From the start of the stored extent to the end of what was published. Bounded by the extent, and by one
// visit to each block, whatever the memory says.
bool Writer::walk_to_end() noexcept {
  for (std::uint32_t visited_blocks = 0; visited_blocks <= geometry_.block_count;
       visited_blocks += run_.count) {
    ExtentHead head;
    lane::copy_shared(&head, extent_, sizeof head);
    message_count_ = head.message_count;
    message_bytes_ = head.message_bytes;
    large_bytes_ = head.large_bytes;
    FrameHeader header;
    for (;; next_ += header.frame_bytes()) {
      // [A5] acquire; pairs with [W2], [W8]: a frame of the dead owner is followed by its next header.
      header = FrameHeader{header_at(next_).load(std::memory_order_acquire)};
      if (header.kind() == Kind::nothing) return true;
      if (!header.known()) return false;
      if (header.kind() == Kind::jump) break;
      if (header.frame_bytes() > static_cast<std::uint64_t>(last_ - next_)) return false;
      if (header.kind() == Kind::message) {
        ++message_count_;
        message_bytes_ += header.payload_bytes();
        large_bytes_ += large_body_bytes(header, next_ + kHeaderBytes);
      }
    }
    if (header.run() == kFirstExtent || !open(header.run())) return false;
  }
  return false;
}

}  // namespace portolan::ring
