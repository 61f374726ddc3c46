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
#include "ring/header_word.hpp"
#include "ring/layout.hpp"

namespace portolan::ring {

enum class Adoption { after_move, after_death };

class Writer {
 public:
  enum class Refusal { none, full, kernel };

  Writer(DirectionLines& lines, Geometry geometry, BlockStore& store) noexcept
      : lines_(&lines), geometry_(geometry), store_(&store) {}

  // Comes first, for a new channel too. False when the memory contradicts itself.
  bool adopt(Adoption how) noexcept;

  // Room for a payload, 8-byte aligned; null when there is none (refusal() says why). Then commit() or
  // abandon().
  std::byte* reserve(std::uint64_t payload_bytes) noexcept {
    if (fits_here(payload_bytes)) [[likely]]
      return extent_ + offset_ + kHeaderBytes;
    return reserve_in_new_extent(payload_bytes);
  }
  // What reserve() gives without leaving the current extent.
  std::uint64_t room_here_bytes() const noexcept {
    const std::uint64_t left = extent_bytes_ - offset_;
    return left > 2 * kHeaderBytes ? left - 2 * kHeaderBytes : 0;
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
    std::byte* const published = extent_ + offset_;
    offset_ += header.frame_bytes();
    // [W1] relaxed; pairs with [R1]: [W2] carries it, so whoever sees this header finds a zero behind the
    // frame.
    header_at(extent_ + offset_).store(0, std::memory_order_relaxed);
    publish(published, header);
    prefetch(header.frame_bytes());
    return published;
  }

  Refusal refusal() const noexcept { return refusal_; }
  std::uint64_t largest_payload_bytes() const noexcept { return geometry_.largest_frame_bytes(); }
  std::uint64_t message_count() const noexcept { return message_count_; }
  std::uint64_t message_bytes() const noexcept { return message_bytes_; }

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
  bool fits_here(std::uint64_t payload_bytes) const noexcept {
    return offset_ + kHeaderBytes + round_up_8(payload_bytes) + kHeaderBytes <= extent_bytes_;
  }
  std::byte* reserve_in_new_extent(std::uint64_t payload_bytes) noexcept;
  std::byte* commit_in_next_run(FrameHeader header) noexcept;
  std::uint64_t blocks_for(std::uint64_t payload_bytes) const noexcept;
  std::optional<Run> find_run(std::uint64_t blocks) noexcept;
  void take_run(Run run) noexcept;
  std::nullopt_t refuse(Refusal why) noexcept;
  std::byte* next_room() noexcept;
  bool map() noexcept;
  bool open(Run run) noexcept;
  void count_large_body(std::uint64_t bytes) noexcept;
  bool walk_to_end() noexcept;
  void adopt_intent() noexcept;
  Run idle_run(std::uint32_t first, std::uint32_t most_blocks) const noexcept;
  void adopt_maps() noexcept;

  void publish(std::byte* place, FrameHeader header) noexcept {
#ifdef PORTOLAN_FAULT_WEAK_PUBLISH
    // The fault that the stress and race suites must report.
    header_at(place).store(header.word(), std::memory_order_relaxed);
#else
    // [W2] release; pairs with [R1], [R2], [A5], [A13]: the payload, and the zero behind it, come before the
    // header that names them.
    header_at(place).store(header.word(), std::memory_order_release);
#endif
    if (header.kind() != Kind::message) return;
    if (header.large_body()) [[unlikely]]
      count_large_body(large_body_bytes(header, place + kHeaderBytes));
    ++message_count_;
    message_bytes_ += header.payload_bytes();
    // [W3] relaxed; pairs with [A16], [W5]: for tools; an adopter counts again.
    lines_->writer.message_count.store(message_count_, std::memory_order_relaxed);
    // [W4] relaxed; pairs with [A17]: as [W3].
    lines_->writer.message_bytes.store(message_bytes_, std::memory_order_relaxed);
  }

  // The reader last touched these lines; asking for them 2 KiB ahead doubles the rate at 1 KiB and does harm
  // outside these sizes (measured, docs/performance.md).
  void prefetch(std::uint64_t frame_bytes) const noexcept {
    constexpr std::uint64_t kAhead = 2048, kLeast = 129, kMost = 2100;
    if (frame_bytes < kLeast || frame_bytes > kMost || offset_ + kAhead + frame_bytes > extent_bytes_) return;
    for (std::uint64_t line = 0; line < frame_bytes; line += kLineBytes)
      __builtin_prefetch(extent_ + offset_ + kAhead + line, 1);
  }

  std::byte* extent_ = nullptr;
  std::uint64_t extent_bytes_ = 0;
  std::uint64_t offset_ = 0;
  bool in_next_run_ = false;  // the open reservation lies in next_run_
  Run next_run_{0, 0};        // taken and not published yet; count 0: none
  DirectionLines* lines_;
  std::uint64_t message_count_ = 0;
  std::uint64_t message_bytes_ = 0;
  Geometry geometry_;
  BlockStore* store_;
  std::byte* blocks_ = nullptr;
  Run run_ = kFirstExtent;
  mutable std::mutex blocks_mutex_;  // guards these three, and is held from finding a run to taking it
  BlockBits alloc_;
  BlockBits backed_;   // blocks that this owner has given their memory
  BlockBits touched_;  // these, and what an owner before it may have left with some
  std::uint64_t large_bytes_ = 0;
  Refusal refusal_ = Refusal::none;
};

}  // namespace portolan::ring
