// SPDX-License-Identifier: Apache-2.0

// The clock, and the price of a pause.
#include "os/pause.hpp"

#include <algorithm>
#include <limits>
#include <time.h>

namespace portolan::os {
namespace {

std::uint32_t measure_pause() noexcept {
  // 64 pauses last 0.3 to 9 us: long against the clock's own 20 ns. The least of five, because an
  // interruption only ever adds.
  constexpr int kPauses = 64;
  constexpr int kRounds = 5;
  std::int64_t least_ns = std::numeric_limits<std::int64_t>::max();
  for (int round = 0; round < kRounds; ++round) {
    const std::int64_t start = monotonic_ns();
    for (int i = 0; i < kPauses; ++i) cpu_pause();
    least_ns = std::min(least_ns, monotonic_ns() - start);
  }
  constexpr std::int64_t kMostPs = 1'000'000;  // 1 us: more is no pause but a hypervisor that intercepts it
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(least_ns * 1000 / kPauses, 1, kMostPs));
}

}  // namespace

std::uint32_t pause_picoseconds() noexcept {
  static const std::uint32_t kPicoseconds = measure_pause();
  return kPicoseconds;
}

void pause_for(std::uint32_t ns) noexcept {
  for (std::uint32_t left = std::max(1u, ns * 1000 / pause_picoseconds()); left != 0; --left) cpu_pause();
}

std::int64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace portolan::os
