// SPDX-License-Identifier: Apache-2.0

// A child that stands still at each edge of its system calls, on the way in and on the way out.
#pragma once

#include <sys/types.h>

namespace portolan::testing {

// In the child: from here on its parent lets it run from edge to edge.
void stop_for_tracer();

// In the parent, once: lets the child go on from there until it has come to so many edges, where it stays.
// False: it ended before, and is still to be reaped.
[[nodiscard]] bool run_to_edge(pid_t child, unsigned edges);

}  // namespace portolan::testing
