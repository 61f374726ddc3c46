// SPDX-License-Identifier: Apache-2.0

// Waiting without sleeping: the processor's pause, what it costs here, and the clock.
#pragma once

#include <cstdint>

namespace portolan::os {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

/// Tells the processor that this is a spin loop.
inline void cpu_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // yield returns at once on most cores; isb takes tens of cycles
#else
  asm volatile("" ::: "memory");
#endif
}

/// How long one cpu_pause() takes, in picoseconds, at least 1: 27 ns on one machine, 5 on another. Measured
/// at the first call, in about 10 us, and then remembered.
[[nodiscard]] std::uint32_t pause_picoseconds() noexcept;

/// Pauses for about that long, and once at least.
void pause_for(std::uint32_t ns) noexcept;

/// CLOCK_MONOTONIC.
[[nodiscard]] std::int64_t monotonic_ns() noexcept;

}  // namespace portolan::os
