// SPDX-License-Identifier: Apache-2.0

// What is measured; one file a question. Each prints its rows, ours beside the machine's own limits.
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace bench {

// Of all peers alike.
void measure_one_way(Report& report, const Plan& plan);     // messages a second, copied and in place
void measure_round_trip(Report& report, const Plan& plan);  // spinning, sleeping, and at a fixed rate
void measure_paced(Report& report, const Plan& plan);     // from post to receipt, of a sender that is slower
void measure_cpu_time(Report& report, const Plan& plan);  // of messages, at full speed and at a fixed rate

// Of ours, beside the machine's own limits.
void measure_batches(Report& report);    // received together, and messages that come in bursts
void measure_producers(Report& report);  // N processes into one, each by a port of its own
void measure_growth(Report& report);     // under a burst, and what is given back
void measure_move(Report& report);       // of a port, empty and with unread messages
void measure_buffer(Report& report);     // moving it, beside a port; touching and unmapping it
void measure_create(Report& report);     // create, move, first message, reply
void measure_values(Report& report);     // writing and reading, beside Boost, copies by hand and memcpy
void measure_footprint(Report& report);  // of an idle channel
void measure_scale(Report& report);      // many idle ports in a loop, one that floods, and listeners
void measure_hostile(Report& report);    // a quiet port beside one whose peer is hostile
void measure_patterns(Report& report);   // requests, coroutines, a sender that threads share

// Of the machine alone: copies, page faults, system calls.
void measure_machine(Report& report, const Plan& plan);

}  // namespace bench
