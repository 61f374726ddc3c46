// SPDX-License-Identifier: Apache-2.0

// The reading half of a direction: looks at one header, follows JUMPs, and keeps apart two things: the cursor
// (which messages count as read) and the pins (which memory is still being read).
//
// Everything in the segment may have been written by a hostile peer: each word is loaded once, checked, then
// used. One thread at a time, but for what kept messages do. docs/ring-protocol.md: "Reading", "Adopting a
// reader's end".
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <utility>

#include "ring/block_map.hpp"
#include "ring/block_store.hpp"
#include "ring/frame.hpp"
#include "ring/geometry.hpp"
#include "ring/layout.hpp"
#include "ring/writer.hpp"

namespace portolan::ring {

// A stretch of the ring that messages are read from, and who still needs it.
struct Extent {
  std::byte* begin = nullptr;
  std::uint64_t bytes = 0;
  Run run = kFirstExtent;
  bool left = false;                      // the reader has followed its JUMP
  std::uint64_t past_sequence = 0;        // once left: one past the last message taken from it
  std::uint32_t event_pins = 0;           // events of the reader's own thread
  std::atomic<std::uint32_t> holders{1};  // the reader, and kept messages on any thread

  // [P3] relaxed; pairs with [P1]: the caller has an event of it meanwhile.
  void hold() noexcept { holders.fetch_add(1, std::memory_order_relaxed); }
  // True: nobody holds it any more.
  [[nodiscard]] bool let_go() noexcept {
    // [P1] acq_rel; pairs with [P1], [P3]: all reads of the bytes come before the blocks' hand-back by the
    // last holder.
    return holders.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  // [P2] acquire; pairs with [P1]: as [P1].
  bool held() const noexcept { return holders.load(std::memory_order_acquire) != 0; }
  bool kept() const noexcept { return holders.load(std::memory_order_acquire) > 1; }  // [P2]
};

class Reader : public lane::ReadCursor {
 public:
  enum class Look { nothing, message, mark, violation, refused };
  using Frame = lane::Frame;

  Reader(DirectionLines& lines, Geometry geometry, BlockStore& store) noexcept
      : ReadCursor(lines.reader.progress), lines_(&lines), geometry_(geometry), store_(&store) {}

  // So that adopting takes no memory. Throws std::bad_alloc.
  void prepare() {
    if (spare_.empty()) spare_.emplace_back();
  }
  // Comes first, for a new channel too. False when the memory contradicts itself.
  bool adopt(Adoption how) noexcept;

  // Is there a header to look at? The only word that a waiting reader polls.
  bool dry() const noexcept {
    // [R2] acquire; pairs with [W2], [W8]: whoever sees it not dry goes on to read the frame.
    return header_at(header_address()).load(std::memory_order_acquire) == 0;
  }
  // Who waits for a message has the lines behind its header brought along while it polls that: its payload
  // lies in them, and would be another transfer between the processors, after the header's.
  void prefetch_frame() const noexcept {
    constexpr std::ptrdiff_t kLine = 64;
    if (last_ - next_ < 3 * kLine) return;
    __builtin_prefetch(next_ + kLine);
    __builtin_prefetch(next_ + 2 * kLine);
  }
  std::byte* header_address() const noexcept { return next_; }
  Location place() const noexcept { return Location{place_word()}; }

  // Looks at the next frame, following a JUMP to it. Takes nothing.
  Look look(Frame& frame) noexcept {
    const FrameHeader header{header_at(next_).load(std::memory_order_acquire)};  // [R1]
    if (header.plain_message() && fits(next_, header)) [[likely]] {
      describe(header, frame);
      return Look::message;
    }
    return look_closer(header, frame);
  }
  // Hands the message of `frame` (the last one looked at) to the user, pinned.
  void take(const Frame& frame) noexcept {
    pin_lent();
    next_ = begin_ + frame.past_offset;
    ++frame.extent->event_pins;
    ++taken_count_;
    taken_bytes_ += frame.header.payload_bytes();
    // It never falls: what two owners in turn were killed over stays marked.
    store_handed(std::max(taken_count_, redelivered_below_));
  }
  // Likewise as many messages as need no closer look, of the extent being read, for as long as
  // show(slot, loan) takes them; each into one of the slots from `slot` to `end`. How many.
  template <class Slot, class Show>
  std::size_t take_plain(Slot* slot, Slot* const end, Show&& show) noexcept {
    pin_lent();
    const std::uint64_t before = taken_count_;
    if (redelivered(before)) return 0;
    // Not in the members, which show() could be writing to for all that the compiler knows.
    std::byte* place = next_;
    std::uint64_t sequence = before, bytes = taken_bytes_;
    for (; slot != end; ++slot) {
      const FrameHeader header{header_at(place).load(std::memory_order_acquire)};  // [R1]
      if (!header.plain_message() || !fits(place, header)) break;
      if (!show(*slot, lane::Loan{header, place + kHeaderBytes, sequence})) break;
      place += header.frame_bytes();
      bytes += header.payload_bytes();
      ++sequence;
    }
    const std::uint64_t count = sequence - before;
    if (count == 0) return 0;
    next_ = place;
    taken_count_ = sequence;
    taken_bytes_ = bytes;
    extent_->event_pins += static_cast<std::uint32_t>(count);
    // None of them has been seen yet.
    store_handed(std::max(sequence, redelivered_below_));
    return count;
  }
  // Where payloads of the extent being read lie.
  struct Bounds {
    std::uintptr_t begin, bytes;
    bool contain(const std::byte* payload) const noexcept {
      return reinterpret_cast<std::uintptr_t>(payload) - begin <= bytes;
    }
  };
  Bounds bounds() const noexcept {
    return {reinterpret_cast<std::uintptr_t>(begin_), static_cast<std::uintptr_t>(last_ - begin_)};
  }
  // Their events are gone, whose payloads lie there and count as read.
  void unpin_read(std::uint32_t events) noexcept { extent_->event_pins -= events; }
  void skip_mark(const Frame& frame) noexcept {
    if (std::exchange(marks_behind_count_, taken_count()) != taken_count()) marks_in_a_row_ = 0;
    ++marks_in_a_row_;
    owes_dry_look_ = true;
    next_ = begin_ + frame.past_offset;
    if (passed_count_ == taken_count()) store_cursor(place_word());
  }
  // The event of this message is gone. The cursor passes it if it is the oldest one in hand, and with the
  // last one in hand everything: they may be let go of in any order.
  void release(Extent& extent, std::uint64_t sequence, std::uint64_t past_offset,
               std::uint32_t payload_bytes) noexcept {
    pin_lent();
    if (--extent.event_pins == 0 && !in_hand()) [[likely]]
      return pass_all();
    if (sequence == passed_count_) {
      pass_to(sequence + 1, passed_bytes_ + payload_bytes, Location(extent.run, past_offset).word());
    }
    if (extents_.size() > 1) hand_back();
  }
  // The next receive: everything in hand counts as read.
  void pass_all() noexcept {
    if (lent_ == kNothing) return;  // writes nothing: another thread may be moving the port
    pin_lent();
    if (passed_count_ != taken_count_) pass_to(taken_count_, taken_bytes_, place_word());
    if (extents_.size() > 1) [[unlikely]]
      hand_back();
    lend_again();
  }
  void count_large_body(std::uint64_t bytes) noexcept;
  // A packet was taken off the socket: room for another one.
  void count_packet() noexcept;
  // Hands back the extents that nobody has kept messages of any more. From any thread that lets go of one.
  void hand_back_kept() noexcept;

  // The message with this sequence may have been seen by an owner that was killed.
  bool redelivered(std::uint64_t sequence) const noexcept { return sequence < redelivered_below_; }
  // Extents in which something is pinned; for a port that moves away and must let go of its blocks.
  template <class F>
  void for_each_pinned(F&& visit) {
    if (lent_ != kNothing) pin_lent();
    for (Extent& extent : extents_)
      if (extent.event_pins != 0 || extent.kept()) visit(extent);
    const std::lock_guard lock(releases_mutex_);
    for (Extent& extent : kept_) visit(extent);
  }
  // For an owner that ends while kept messages still point into extents, which outlive the reader.
  std::list<Extent> surrender_extents() noexcept {
    pin_lent();
    extents_.splice(extents_.end(), kept_);
    return std::move(extents_);
  }

  // Since it was asked last, has anything been handed back on the reader's thread? Then it is time to look at
  // a writer that waits for room.
  bool take_handed_back() noexcept {
    if (!handed_back_) [[likely]]
      return false;
    handed_back_ = false;
    return true;
  }
  std::uint32_t free_blocks() const noexcept;

  std::uint64_t taken_count() const noexcept {
    return lent_ == kShut ? taken_count_ : passed_count_ + (lent_ != kNothing ? 1 : 0);
  }
  std::uint64_t taken_bytes() const noexcept {
    return lent_ == kShut ? taken_bytes_ : passed_bytes_ + FrameHeader{lent_}.payload_bytes();
  }
  std::uint64_t passed_count() const noexcept { return passed_count_; }
  // All that the ring can hold at once.
  std::uint64_t most_unread_frames() const noexcept {
    return (geometry_.direction_bytes() + kFirstExtentBytes) / kHeaderBytes;
  }

  // For an event that ends after this reader's time: the ring is somebody else's by now.
  void unpin(Extent& extent) noexcept {
    pin_lent();
    --extent.event_pins;
  }
  // The extent in hand that a payload lies in.
  Extent* extent_of(const std::byte* payload) noexcept;
  // Does any event still look into an extent?
  bool pinned() noexcept {
    pin_lent();
    return std::any_of(extents_.begin(), extents_.end(),
                       [](const Extent& extent) { return extent.event_pins != 0; });
  }

 private:
  friend class Scout;

  void describe(FrameHeader header, Frame& frame) const noexcept {
    frame = {header, next_ + kHeaderBytes, extent_, taken_count(),
             static_cast<std::uint64_t>(next_ - begin_) + header.frame_bytes()};
  }
  // What is lent holds its extent like any other event, as soon as it is not the only thing that happens.
  void pin_lent() noexcept {
    if (lent_ == kShut) return;
    taken_count_ = taken_count();
    taken_bytes_ = taken_bytes();
    if (lent_ != kNothing) ++extent_->event_pins;
    lent_ = kShut;
  }
  // With everything passed, one extent, and nothing to come that another owner has handed out.
  void lend_again() noexcept {
    if (passed_count_ == taken_count_ && extents_.size() == 1 && !redelivered(taken_count_)) lent_ = kNothing;
  }
  bool in_hand() const noexcept {
    return extents_.size() > 1 && std::any_of(extents_.begin(), extents_.end(),
                                              [](const Extent& extent) { return extent.event_pins != 0; });
  }
  Look look_closer(FrameHeader header, Frame& frame) noexcept;
  Look follow(Run run) noexcept;
  std::span<std::byte> memory_of(Run run) noexcept;
  bool open(Run run) noexcept;
  bool valid(Run run) const noexcept;
  bool has_in_hand(Run run) const noexcept;
  void hand_back() noexcept;
  void give_up(std::list<Extent>::iterator extent) noexcept;
  void publish_release(Run run) noexcept;
  void count_release() noexcept;
  void settle_suspects() noexcept;
  void load_counts(Adoption how) noexcept;
  void count_to(std::uint64_t offset) noexcept;

  Extent* extent_ = nullptr;       // the last of them
  std::uint64_t taken_count_ = 0;  // these two: while nothing can be lent
  std::uint64_t taken_bytes_ = 0;
  std::uint64_t redelivered_below_ = 0;
  DirectionLines* lines_;
  std::list<Extent> extents_;  // oldest first; the last one is being read
  std::list<Extent> spare_;
  bool handed_back_ = false;
  Geometry geometry_;
  BlockStore* store_;
  std::byte* blocks_ = nullptr;
  mutable std::mutex releases_mutex_;  // guards these four: kept messages hand back on any thread
  BlockBits rel_;
  BlockBits in_hand_;  // of the runs of extents_ and kept_
  std::uint32_t release_count_ = 0;
  std::list<Extent> kept_;  // done with by the reader, and held by kept messages
  BlockBits suspects_;      // taken by the writer before this adoption and not seen in the ring yet
  Run suspect_intent_{0, 0};
  bool suspicious_ = false;
  bool after_jump_ = false;
  std::uint64_t marks_behind_count_ = 0;  // taken_count_ at the last mark
  std::uint32_t marks_in_a_row_ = 0;
  std::uint64_t large_bytes_ = 0;
};

}  // namespace portolan::ring
