// SPDX-License-Identifier: Apache-2.0

// The word by which a sleeper tells the other side that it must be woken. Only the sleeper ever writes it, so
// no wake-up is erased: the waker (<portolan/lane/waker.hpp>) remembers which word it has answered.
//   bits 0-1 state | bit 2 the sleeper fences for both | bits 3-63 epoch
// docs/ring-protocol.md: "Sleeping and waking".
#pragma once

#include <atomic>
#include <cstdint>

#include "ring/frame.hpp"
#include "ring/layout.hpp"

namespace portolan::ring {

// A reader sleeps on one of the two. An end that wants room has two threads, which may sleep on one each.
enum class SleepState : std::uint8_t { awake = 0, on_futex = 1, on_socket = 2, on_both = 3 };

inline constexpr std::uint64_t kSleeperFences = 4;
inline constexpr std::uint64_t kEpochStep = 8;

constexpr SleepState sleep_state(std::uint64_t word) noexcept {
  return static_cast<SleepState>(word & 3);
}
constexpr unsigned bits(SleepState state) noexcept {
  return static_cast<unsigned>(state);
}
constexpr bool sleeps(std::uint64_t word, SleepState how) noexcept {
  return (word & bits(how)) != 0;
}

// The sleeper's side of a sleep line.
class Sleeper {
 public:
  explicit Sleeper(SleepLine& line) noexcept : line_(&line) {}

  // An adopter goes on counting where the last owner stopped: a waker may have answered that owner's epochs.
  void adopt() noexcept {
    // [S4] relaxed; pairs with [S1]: ordered by the adoption.
    epoch_ = line_->word.load(std::memory_order_relaxed) & ~(kEpochStep - 1);
  }

  // A new epoch, stored before the caller's barrier and its last look at what it waits for.
  void announce(SleepState state, bool sleeper_fences, std::uint64_t at) noexcept {
    // [S3] relaxed; pairs with [S6]: [S1] carries it.
    line_->at.store(at, std::memory_order_relaxed);
    epoch_ += kEpochStep;
    const std::uint64_t word =
        epoch_ | (sleeper_fences ? kSleeperFences : 0) | static_cast<std::uint64_t>(state);
    // [S1] release; pairs with [S2], [S8]: with a barrier on either side of the race, the sleeper sees the
    // news or the waker sees the word.
    line_->word.store(word, std::memory_order_release);
  }

 private:
  SleepLine* line_;
  std::uint64_t epoch_ = 0;
};

}  // namespace portolan::ring
