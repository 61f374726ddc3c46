// SPDX-License-Identifier: Apache-2.0

// Round trips of 64 bytes: both sides polling, blocking calls back to back, both asleep when the message
// comes, and at a fixed rate, where a trip that is late because of the one before counts from when it was
// due.

#include "questions.hpp"

namespace bench {

namespace {

void measure_trips(Report& report, const Plan& plan, const std::string& question, const Trips& trips) {
  const std::vector<std::string> parts{"p50", "p90", "p99", "p99.9", "p99.99", "most"};
  for (const Peer* const peer : plan.peers) {
    if (!peer->can(trips.setup)) continue;
    report.parts(question, {peer->name(), peer->is_limit()}, parts, "ns", [&] {
      const Latency latency = peer->run(trips).latency;
      Parts values;
      for (const std::int64_t value : {latency.p50_ns, latency.p90_ns, latency.p99_ns, latency.p99_9_ns,
                                       latency.p99_99_ns, latency.most_ns})
        values.push_back(static_cast<double>(value));
      return values;
    });
  }
}

}  // namespace

void measure_round_trip(Report& report, const Plan& plan) {
  constexpr std::int64_t kMillisecondNs = 1'000'000;
  const Setup polling{.waiting = Waiting::polling, .one_way = false};
  const Setup blocking{.waiting = Waiting::blocking, .one_way = false};
  const std::int64_t duration_ns = (plan.full ? 300 : 80) * kMillisecondNs;
  report.section("Round trip of 64 B");
  measure_trips(report, plan, "polling", {.setup = polling, .duration_ns = duration_ns});
  if (plan.full)
    measure_trips(report, plan, "blocking, back to back", {.setup = blocking, .duration_ns = duration_ns});
  measure_trips(report, plan, "blocking, both asleep for 1 ms before",
                {.setup = blocking, .duration_ns = 2 * duration_ns, .idle_ns = kMillisecondNs});
  if (!plan.full) return;
  report.section("Round trip of 64 B at a fixed rate, from when it was due");
  measure_trips(report, plan, "polling, 20,000 a second",
                {.setup = polling, .duration_ns = duration_ns, .interval_ns = 50'000});
  measure_trips(report, plan, "blocking, 2,000 a second",
                {.setup = blocking, .duration_ns = 2 * duration_ns, .interval_ns = 500'000});
}

}  // namespace bench
