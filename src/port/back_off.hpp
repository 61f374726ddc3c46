// SPDX-License-Identifier: Apache-2.0

// How long a reader that finds nothing holds off before it looks again. Polling right behind a fast writer
// takes every line away from it (37 M messages/s); letting batches build gives four times that; and a slow
// writer must not notice. The rule was found by measurement (docs/decisions/adaptive-reader.md); its unit is
// one hold of about 27 ns.
#pragma once

#include <algorithm>
#include <cstdint>

#include "os/pause.hpp"

namespace portolan::port {

class BackOff {
 public:
  // Called at each dry look, with everything consumed so far. Pauses.
  void dry(std::uint64_t consumed_bytes, std::uint64_t consumed_messages) noexcept {
    const std::uint64_t bytes = consumed_bytes - last_bytes_;
    if (bytes == 0) {
      ++waited_;
      pause(1);
      return;
    }
    adapt(bytes, consumed_messages - last_messages_);
    last_bytes_ = consumed_bytes;
    last_messages_ = consumed_messages;
    waited_ = 0;
    pause(hold_ == 0 ? 1 : hold_);
  }

  // The writer streams.
  bool holds() const noexcept { return hold_ != 0; }

 private:
  static constexpr std::uint32_t kUnitNs = 27;
  static constexpr std::uint32_t kPatientLooks = 3;  // more dry looks than this: the writer is slow
  static constexpr std::uint32_t kMostHold = 32;     // 860 ns
  static constexpr std::uint32_t kLeastHold = 4;     // 110 ns
  static constexpr std::uint64_t kFewBytes = 32 * 1024, kManyBytes = 64 * 1024;
  static constexpr std::uint32_t kProbeAfter =
      256;  // holds, then one eager look whether the writer still is fast

  void adapt(std::uint64_t bytes, std::uint64_t messages) noexcept {
    if (hold_ == 0) {
      streak_ = waited_ <= kPatientLooks ? streak_ + 1 : 0;
      if (streak_ < 4) return;
      hold_ = std::max(kLeastHold, last_hold_);
      streak_ = holds_ = 0;
    } else if (messages == 1 || waited_ > kPatientLooks || (bytes < 32 * hold_ && messages < hold_ / 2)) {
      hold_ = streak_ = 0;
      last_hold_ = kLeastHold;
    } else if (++holds_ >= kProbeAfter) {
      last_hold_ = std::max(kLeastHold, hold_ / 2);
      hold_ = streak_ = 0;
    } else if (bytes < kFewBytes) {
      hold_ = std::min(hold_ + 1 + hold_ / 2, kMostHold);
    } else if (bytes > kManyBytes && hold_ > kLeastHold) {
      hold_ -= 1 + hold_ / 8;
    }
  }

  static void pause(std::uint32_t units) noexcept { os::pause_for(units * kUnitNs); }

  std::uint64_t last_bytes_ = 0;
  std::uint64_t last_messages_ = 0;
  std::uint32_t hold_ = 0;
  std::uint32_t waited_ = 0;
  std::uint32_t streak_ = 0;
  std::uint32_t holds_ = 0;
  std::uint32_t last_hold_ = kLeastHold;
};

}  // namespace portolan::port
