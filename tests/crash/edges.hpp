// SPDX-License-Identifier: Apache-2.0

// A child that its parent lets run from edge to edge of its system calls, on the way in and on the way out,
// or from instruction to instruction.
#pragma once

#include <cstdint>
#include <functional>
#include <sys/types.h>
#include <vector>

namespace portolan::testing {

// In the child: from here on its parent lets it run from edge to edge.
void stop_for_tracer();

// In the parent, once: lets the child go on from there until it has come to so many edges, where it stays.
// False: it ended before, and is still to be reaped.
[[nodiscard]] bool run_to_edge(pid_t child, unsigned edges);

#if defined(__x86_64__) || defined(__aarch64__)
#define PORTOLAN_CAN_STEP 1

// In the child: what was to be stepped through is done. It does not return.
[[noreturn]] void end_for_tracer();

// A place in what a child does: so many system calls behind it, and so many instructions behind the last one.
struct Step {
  unsigned calls = 0;
  std::uint64_t instructions = 0;
  bool new_state = true;  // something that outlives the child was changed just before
};

// In the parent: steps through all of it, and asks `changed` behind each instruction. Every step, the system
// calls always as a change; empty if the child did not come to its end.
[[nodiscard]] std::vector<Step> survey(pid_t child, const std::function<bool()>& changed);

// In the parent, once: lets the child go on until it is there, where it stays. False: it came to its end
// before, and waits there.
[[nodiscard]] bool run_to_step(pid_t child, Step step);
#endif

}  // namespace portolan::testing
