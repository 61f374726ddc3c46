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

/// Inert: a forked child's copy. Moving: its descriptors may be in a call that sends them. Closing: a close
/// waits for the end of that.
enum class Status : std::uint32_t { inert = 0, open, moving, closing, closed, detached };

/// Any thread may ask; what changes is atomic, and the rest never does. It lies in memory that a fork wipes,
/// and zeros are inert: so one comparison says that this is the process that made the endpoint, too. Of an
/// inert one nothing but the status may be asked.
class Standing {
 public:
  /// Nobody's: inert.
  static const Standing kNone;

  [[nodiscard]] Status status() const noexcept {
    // [E1] relaxed; pairs with [E2], [E7], [E8], [E12]: whoever needs more than the word passes the gate.
    return status_.load(std::memory_order_relaxed);
  }
  /// Nobody else has adopted it since.
  [[nodiscard]] bool owned() const noexcept {
    // [G1] relaxed; pairs with [G2]: a former owner that learns late has written into lines that are not its
    // own any more, which the new owner's checks and its peer's survive.
    return generation_word_->load(std::memory_order_relaxed) == generation_;
  }
  /// Open, in the process that made it, and owned.
  [[nodiscard]] bool usable() const noexcept { return status() == Status::open && owned(); }
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

  constexpr Standing() noexcept = default;
  Standing(const SharedWord<std::uint64_t>& generation_word, std::uint64_t generation,
           const SharedWord<std::uint32_t>& peer_closed_word) noexcept
      : generation_word_(&generation_word),
        peer_closed_word_(&peer_closed_word),
        generation_(generation),
        status_(Status::detached) {}

  const SharedWord<std::uint64_t>* generation_word_ = nullptr;   // in the segment
  const SharedWord<std::uint32_t>* peer_closed_word_ = nullptr;  // in the segment
  std::uint64_t generation_ = 0;
  std::atomic<Status> status_{Status::inert};
  std::atomic<bool> peer_gone_{false};
};

inline constinit const Standing Standing::kNone;

}  // namespace lane
}  // namespace v1
}  // namespace portolan
