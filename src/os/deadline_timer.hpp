// SPDX-License-Identifier: Apache-2.0

// A deadline as a descriptor (timerfd), for loops of somebody else's that know no timers of ours.
#pragma once

#include <cstdint>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

class DeadlineTimer {
 public:
  /// Throws PortError.
  DeadlineTimer();

  /// Readable from `deadline_ns` (CLOCK_MONOTONIC) on, until set again.
  void set(std::int64_t deadline_ns) noexcept;

  /// Not readable until set again.
  void clear() noexcept;

  [[nodiscard]] int descriptor() const noexcept { return timer_.get(); }

 private:
  FileDescriptor timer_;
};

}  // namespace portolan::os
