// SPDX-License-Identifier: Apache-2.0

// The writing half of a direction: room for a frame, then one store that publishes it.
//
// Positions are private; what the segment holds of them is written for adopters and tools. One thread at a
// time, but for what is said to come from any. docs/ring-protocol.md: "Publishing", "Taking blocks",
// "Adopting a writer's end".
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "ring/block_map.hpp"
#include "ring/block_store.hpp"
#include "ring/frame.hpp"
#include "ring/geometry.hpp"
#include "ring/layout.hpp"

namespace portolan::ring {

enum class Adoption { after_move, after_death };

class Writer : public lane::WriteCursor {
 public:
  enum class Refusal { none, full, kernel };

  Writer(DirectionLines& lines, Geometry geometry, BlockStore& store) noexcept
      : WriteCursor(lines.writer.posted), lines_(&lines), geometry_(geometry), store_(&store) {}

  // Comes first, for a new channel too. False when the memory contradicts itself.
  bool adopt(Adoption how) noexcept;

  // Room for a payload, 8-byte aligned; null when there is none (refusal() says why). Then commit() or
  // abandon().
  std::byte* reserve(std::uint64_t payload_bytes) noexcept {
    if (std::byte* const room = room_here(payload_bytes)) [[likely]]
      return room;
    return reserve_in_new_extent(payload_bytes);
  }
  // How many blocks an extent gets that could do with half of them, where so many are free. More than one:
  // the writer streams, and goes round in several.
  void prefer_extents_of(std::uint32_t blocks) noexcept { preferred_blocks_ = blocks; }
  // What reserve() gives without leaving the current extent.
  std::uint64_t room_here_bytes() const noexcept {
    const auto left_bytes = static_cast<std::uint64_t>(last_ - next_);
    return left_bytes > kHeaderBytes ? left_bytes - kHeaderBytes : 0;
  }
  // A larger room for the reservation that is open, with its first `written_bytes` brought along. Null:
  // refusal() says why, and the reservation stays open as it was.
  std::byte* extend(std::uint64_t payload_bytes, std::uint64_t written_bytes) noexcept;
  // The reservation never was. A run taken for it is kept for the next one: blocks go back through the reader
  // only.
  void abandon() noexcept { in_next_run_ = false; }

  // Publishes the reserved payload under `header`, which may be shorter than the reservation. The published
  // word: a reader in light sleep waits on it.
  std::byte* commit(FrameHeader header) noexcept {
    if (in_next_run_) [[unlikely]]
      return commit_in_next_run(header);
    std::byte* const published = next_;
    if (header.kind() == Kind::message) [[likely]] {
      publish_here(header);
      if (header.large_body()) [[unlikely]]
        count_large_body(large_body_bytes(header, published + kHeaderBytes));
    } else {
      publish_mark_here(header);
    }
    return published;
  }

  Refusal refusal() const noexcept { return refusal_; }
  std::uint64_t largest_payload_bytes() const noexcept { return geometry_.largest_frame_bytes(); }

  // Bodies in files of their own count against the limit as blocks do.
  std::uint64_t unread_large_bytes() const noexcept;
  bool large_body_fits(std::uint64_t bytes) const noexcept;

  // "The writer's place": exact before a move, so that the next owner need not walk.
  void store_place() noexcept;

  // ---- from any thread, while another one posts
  std::uint32_t free_blocks() const noexcept;
  // Has `punch(Run)` called for what is free at or behind block `keep` and may still have memory, in runs of
  // `most_blocks` at most.
  template <class Punch>
  void give_back(std::uint32_t keep, std::uint32_t most_blocks, Punch&& punch) {
    for (std::uint32_t from = keep;;) {
      // Not over all of it: a thread that wants to post waits for one punch at the most.
      const std::lock_guard lock(blocks_mutex_);
      const Run run = idle_run(from, most_blocks);
      if (run.count == 0) return;
      punch(run);
      backed_.clear(run);
      touched_.clear(run);
      from = std::uint32_t{run.block} + run.count;
    }
  }

 private:
  std::byte* reserve_in_new_extent(std::uint64_t payload_bytes) noexcept;
  std::byte* commit_in_next_run(FrameHeader header) noexcept;
  std::uint64_t blocks_for(std::uint64_t payload_bytes) const noexcept;
  std::optional<Run> find_run(std::uint64_t blocks) noexcept;
  std::optional<Run> find_free_run(std::uint64_t blocks) noexcept;
  std::optional<Run> choose(const BlockBits& free, std::uint32_t blocks, std::uint32_t end) const noexcept;
  void take_run(Run run) noexcept;
  std::nullopt_t refuse(Refusal why) noexcept;
  std::byte* next_room() noexcept;
  bool map() noexcept;
  bool open(Run run) noexcept;
  void count_large_body(std::uint64_t bytes) noexcept;
  bool walk_to_end() noexcept;
  void adopt_intent(Run intent) noexcept;
  Run idle_run(std::uint32_t first, std::uint32_t most_blocks) const noexcept;

  void publish_mark_here(FrameHeader header) noexcept;
  std::uint64_t offset_bytes() const noexcept { return static_cast<std::uint64_t>(next_ - extent_); }

  std::byte* extent_ = nullptr;
  bool in_next_run_ = false;  // the open reservation lies in next_run_
  Run next_run_{0, 0};        // taken and not published yet; count 0: none
  DirectionLines* lines_;
  Geometry geometry_;
  BlockStore* store_;
  std::byte* blocks_ = nullptr;
  std::uint32_t preferred_blocks_ = 1;
  Run run_ = kFirstExtent;
  mutable std::mutex blocks_mutex_;  // guards these three, and is held from finding a run to taking it
  BlockBits alloc_;
  BlockBits backed_;   // blocks that this owner has given their memory
  BlockBits touched_;  // these, and what an owner before it may have left with some
  std::uint64_t large_bytes_ = 0;
  Refusal refusal_ = Refusal::none;
};

}  // namespace portolan::ring
