// SPDX-License-Identifier: Apache-2.0

// What messages cost in time of the processor, sender and receiver together, the threads of their libraries
// included and a daemon not. At a fixed rate both sleep when there is nothing to do: the sender wakes every
// millisecond and posts what is due.

#include "questions.hpp"

namespace bench {

namespace {

double cpu_ns(const Outcome& outcome) {
  return static_cast<double>(outcome.receiver_cpu_ns + outcome.sender_cpu_ns);
}

}  // namespace

void measure_cpu_time(Report& report, const Plan& plan) {
  constexpr std::int64_t kMillisecondNs = 1'000'000;
  constexpr std::uint64_t kPerMillisecond = 100;
  const std::int64_t duration_ns = (plan.full ? 500 : 150) * kMillisecondNs;
  const Setup setup{.waiting = Waiting::blocking};
  report.section("Time of the processor, 64 B, blocking, sender and receiver together");
  const Stream fast{.setup = setup, .duration_ns = duration_ns / 2};
  const Stream fixed{.setup = setup,
                     .duration_ns = duration_ns,
                     .gap_ns = kMillisecondNs,
                     .burst = kPerMillisecond,
                     .sleep_in_gaps = true};
  for (const Peer* const peer : plan.peers)
    if (peer->can(setup))
      report.row("a million messages at full speed", {peer->name(), peer->is_limit()}, "s", [&] {
        const Outcome outcome = peer->run(fast);
        return cpu_ns(outcome) / static_cast<double>(outcome.messages) / 1e3;
      });
  for (const Peer* const peer : plan.peers)
    if (peer->can(setup))
      report.row("100,000 messages a second", {peer->name(), peer->is_limit()}, "% CPU",
                 [&] { return cpu_ns(peer->run(fixed)) / static_cast<double>(fixed.duration_ns) * 100; });
  if (!plan.full) return;
  const Stream idle{.setup = setup,
                    .duration_ns = duration_ns,
                    .gap_ns = 50 * kMillisecondNs,
                    .burst = 0,
                    .sleep_in_gaps = true};
  for (const Peer* const peer : plan.peers)
    if (peer->can(setup))
      report.row("connected and idle", {peer->name(), peer->is_limit()}, "% CPU",
                 [&] { return cpu_ns(peer->run(idle)) / static_cast<double>(idle.duration_ns) * 100; });
}

}  // namespace bench
