// SPDX-License-Identifier: Apache-2.0

// Whether an endpoint is this process's, open, and has a peer: what every post and every receive asks first.
#pragma once

#include <atomic>
#include <cstdint>

#include <portolan/lane/shared_word.hpp>

namespace portolan {

namespace port {
class Endpoint;
}

inline namespace v1 {
namespace lane {

/// Moving: its descriptors may be in a call that sends them. Closing: a close waits for the end of that.
enum class Status : std::uint32_t { open, moving, closing, closed, detached, inert };

/// Any thread may ask; what changes is atomic, and the rest never does.
class Standing {
 public:
  /// The process that made the endpoint is this one: a fork wipes the word.
  [[nodiscard]] bool same_process() const noexcept {
    // [K10] relaxed: as [K4], whose word it is.
    return fork_word_->load(std::memory_order_relaxed) == fork_generation_;
  }
  [[nodiscard]] Status status() const noexcept {
    // [E1] relaxed; pairs with [E2], [E7], [E8], [E12]: whoever needs more than the word passes the gate.
    return same_process() ? status_of(word_.load(std::memory_order_relaxed)) : Status::inert;
  }
  /// Nobody else has adopted it since.
  [[nodiscard]] bool owned() const noexcept {
    // [G1] relaxed; pairs with [G2]: a former owner that learns late has written into lines that are not its
    // own any more, which the new owner's checks and its peer's survive.
    return generation_word_->load(std::memory_order_relaxed) == generation_;
  }
  /// Open, in the process that made it, and owned.
  [[nodiscard]] bool usable() const noexcept {
    static_assert(Status::open == Status{});
    return word_.load(std::memory_order_relaxed) == fork_word_->load(std::memory_order_relaxed) &&  // [E1]
           owned();                                                                                 // [K10]
  }
  [[nodiscard]] std::uint32_t peer_closed_word() const noexcept {
    // [C2] acquire; pairs with [C1]: the last frame is visible behind the flag.
    return peer_closed_word_->load(std::memory_order_acquire);
  }
  [[nodiscard]] bool peer_closed() const noexcept {
    // [E4] acquire; pairs with [E3]: what was published before the end is found by the next look at the ring.
    return peer_closed_word() != 0 || peer_gone_.load(std::memory_order_acquire);
  }

 private:
  friend class port::Endpoint;

  Standing(const std::atomic<std::uint32_t>& fork_word, std::uint32_t fork_generation,
           const SharedWord<std::uint64_t>& generation_word, std::uint64_t generation,
           const SharedWord<std::uint32_t>& peer_closed_word) noexcept
      : fork_word_(&fork_word),
        generation_word_(&generation_word),
        peer_closed_word_(&peer_closed_word),
        generation_(generation),
        fork_generation_(fork_generation),
        word_(word_of(Status::detached)) {}

  // The status above the number of the fork: open, in the process that made it, it is the fork's word itself.
  [[nodiscard]] std::uint64_t word_of(Status status) const noexcept {
    return std::uint64_t{static_cast<std::uint32_t>(status)} << 32 | fork_generation_;
  }
  [[nodiscard]] static Status status_of(std::uint64_t word) noexcept {
    return static_cast<Status>(word >> 32);
  }

  const std::atomic<std::uint32_t>* fork_word_;
  const SharedWord<std::uint64_t>* generation_word_;   // in the segment
  const SharedWord<std::uint32_t>* peer_closed_word_;  // in the segment
  std::uint64_t generation_;
  std::uint32_t fork_generation_;
  std::atomic<std::uint64_t> word_;
  std::atomic<bool> peer_gone_{false};
};

}  // namespace lane
}  // namespace v1
}  // namespace portolan
