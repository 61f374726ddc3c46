// SPDX-License-Identifier: Apache-2.0

// The two processes of a sample, both forked anew, for some libraries do not survive a fork: the near one on
// CPU 0 receives or begins trips, the far one on CPU 1 sends or answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "peers/peer.hpp"

namespace bench {

// What both see, besides the channel.
struct Stage {
  alignas(64) std::atomic<bool> go{false};        // both are connected
  alignas(64) std::atomic<bool> stop{false};      // the time is over
  alignas(64) std::atomic<bool> received{false};  // the last message was
  alignas(64) Outcome outcome;
};

// Runs both until they return; `duration_ns` after `go` the stop is set. Throws std::runtime_error if one
// fails, or if both do not end in time.
void run_duo(Stage& stage, std::int64_t duration_ns, const std::function<void()>& near,
             const std::function<void()>& far);

Latency latency_of(std::vector<std::int64_t>& samples_ns);

// Of this process, all its threads.
std::int64_t cpu_time_ns();

void sleep_until(std::int64_t when_ns);

}  // namespace bench
