// SPDX-License-Identifier: Apache-2.0

// How far apart the two CPUs are right now: the round trip of a cache line between two processes. On a
// virtual machine it changes by a factor of four from one second to the next, and every figure changes with
// it.
#pragma once

#include <cstdint>

namespace bench {

// Median over some thousand round trips, in nanoseconds.
std::int64_t cache_line_round_trip_ns();

// Above this the CPUs are far from each other (two lines of the same core complex take 110-150 ns).
inline constexpr std::int64_t kNearNs = 220;

}  // namespace bench
