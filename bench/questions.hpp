// SPDX-License-Identifier: Apache-2.0

// What is measured; one file a question. Each prints its rows, ours beside the machine's own limits.
#pragma once

#include "report.hpp"

namespace bench {

void measure_one_way(Report& report);     // messages a second
void measure_round_trip(Report& report);  // spinning, and both asleep
void measure_move(Report& report);        // of a port, empty and with unread messages
void measure_buffer(Report& report);      // moving it, beside a port; touching and unmapping it
void measure_create(Report& report);      // create, move, first message, reply
void measure_values(Report& report);      // writing and reading, beside Boost, copies by hand and memcpy
void measure_footprint(Report& report);   // of an idle channel
void measure_scale(Report& report);       // many idle ports in a loop, one that floods, and listeners
void measure_patterns(Report& report);    // requests, coroutines, a sender that threads share

}  // namespace bench
