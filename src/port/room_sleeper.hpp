// SPDX-License-Identifier: Apache-2.0

// The sleep word of an end that wants room. Two of its threads may want it at once, the one that posts on the
// futex, the loop's on the socket; one word says what both are waiting for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>

#include "ring/sleep_word.hpp"

namespace portolan::port {

class RoomSleeper {
 public:
  explicit RoomSleeper(ring::SleepLine& line) noexcept : sleeper_(line) {}
  void adopt() noexcept { sleeper_.adopt(); }

  // To be woken once `blocks` are free. The caller fences, and looks for room again.
  void begin(ring::SleepState how, std::uint64_t blocks) noexcept {
    const std::lock_guard lock(mutex_);
    wanted(how) = blocks;
    announce();
  }
  void end(ring::SleepState how) noexcept {
    const std::lock_guard lock(mutex_);
    if (wanted(how) == kNothing) return;
    wanted(how) = kNothing;
    announce();
  }

 private:
  static constexpr std::uint64_t kNothing = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t& wanted(ring::SleepState how) noexcept {
    return how == ring::SleepState::on_futex ? on_futex_ : on_socket_;
  }
  void announce() noexcept {
    const auto state = (on_futex_ != kNothing ? ring::bits(ring::SleepState::on_futex) : 0u) |
                       (on_socket_ != kNothing ? ring::bits(ring::SleepState::on_socket) : 0u);
    // The peer's reader fences after every hand-back, so that nobody has to do it for both.
    sleeper_.announce(static_cast<ring::SleepState>(state), false, std::min(on_futex_, on_socket_));
  }

  std::mutex mutex_;
  ring::Sleeper sleeper_;
  std::uint64_t on_futex_ = kNothing;  // free blocks that are waited for there
  std::uint64_t on_socket_ = kNothing;
};

}  // namespace portolan::port
