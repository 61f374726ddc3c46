// SPDX-License-Identifier: Apache-2.0

// How many descriptors a foreign peer's messages may bring while those that it brought before wait to be
// closed. The thread that closes them gets only the time that nobody else has a use for, so a port that takes
// them faster waits for it; else they would take all descriptors of the process.
#pragma once

#include <algorithm>
#include <cstdint>

#include "os/descriptor_closer.hpp"
#include "os/descriptor_room.hpp"
#include "os/pause.hpp"

namespace portolan::port {

class ForeignIntake {
 public:
  // How long until it is worth another look.
  static constexpr std::int64_t kPauseNs = 1'000'000;

  [[nodiscard]] bool is_behind() noexcept {
    const os::ToClose now = os::to_close();
    if (now.closed >= given_at_start_) {
      given_at_start_ = now.given;
      taken_since_ = 0;
    }
    const std::uint64_t waiting = now.given - now.closed;
    const bool behind =
        waiting > kMostOfOne && waiting > (taken_since_ <= kMostOfOne ? 2 * most_behind() : most_behind());
    if (!behind) since_ns_ = 0;
    return behind;
  }
  // Of who is behind: whether a message with descriptors should wait. Never for long, since a close may never
  // end.
  [[nodiscard]] bool must_wait() noexcept {
    const std::int64_t now_ns = os::monotonic_ns();
    if (since_ns_ == 0) since_ns_ = now_ns;
    if (now_ns - since_ns_ < kLongestNs) return true;
    return since_ns_ = 0, false;
  }
  // Whether one does, still.
  [[nodiscard]] bool waits() noexcept {
    return since_ns_ != 0 && is_behind() && os::monotonic_ns() - since_ns_ < kLongestNs;
  }
  void took(std::uint64_t descriptors) noexcept { taken_since_ += descriptors; }

 private:
  // An eighth of what the process may have, as it is now; and with more than enough for the closer to go on
  // with, a peer would wait for it all the same.
  static std::uint64_t most_behind() noexcept { return std::min(kMostBehind, os::descriptor_limit() / 8); }
  static constexpr std::uint64_t kMostBehind = 128;
  // Who brings few is not to wait for who brings many.
  static constexpr std::uint64_t kMostOfOne = 32;
  static constexpr std::int64_t kLongestNs = 100'000'000;

  std::uint64_t given_at_start_ = 0;  // what there was to close when the count of the next one began
  std::uint64_t taken_since_ = 0;
  std::int64_t since_ns_ = 0;  // when this message began to wait; 0: none does
};

}  // namespace portolan::port
