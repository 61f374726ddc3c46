// SPDX-License-Identifier: Apache-2.0

// The machine under a measurement: pinning, the cheapest clock, and a pause.
#pragma once

#include <cstdint>
#include <sched.h>
#include <string>
#include <time.h>

namespace bench {

inline void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(processor), &set);
  sched_setaffinity(0, sizeof set, &set);
}

inline std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The processor's name, the kernel and the number of processors, for the head of every result.
std::string machine();

}  // namespace bench
