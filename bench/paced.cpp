// SPDX-License-Identifier: Apache-2.0

// From the post of a message to its receipt, where the sender is slower than the receiver: what waiting costs
// those who are in no hurry. Both read the same clock.

#include <fmt/format.h>

#include "questions.hpp"

namespace bench {

void measure_paced(Report& report, const Plan& plan) {
  struct Pace {
    std::int64_t gap_ns;
    std::uint64_t burst;
    Waiting waiting;
  };
  const std::vector<Pace> all{{300, 1, Waiting::polling},     {1'000, 1, Waiting::polling},
                              {10'000, 1, Waiting::polling},  {5'000, 64, Waiting::polling},
                              {10'000, 1, Waiting::blocking}, {100'000, 1, Waiting::blocking}};
  const std::vector<Pace> few{{1'000, 1, Waiting::polling}, {100'000, 1, Waiting::blocking}};
  constexpr std::int64_t kShortNs = 60'000'000, kLongNs = 200'000'000;
  report.section("From post to receipt of 64 B, from a sender that keeps its own pace");
  for (const Pace& pace : plan.full ? all : few) {
    const std::string question =
        fmt::format("{} every {} us, {}", pace.burst, static_cast<double>(pace.gap_ns) / 1e3,
                    pace.waiting == Waiting::polling ? "polling" : "blocking");
    const Stream stream{.setup = {.waiting = pace.waiting},
                        .duration_ns = plan.full ? kLongNs : kShortNs,
                        .gap_ns = pace.gap_ns,
                        .burst = pace.burst};
    for (const Peer* const peer : plan.peers)
      if (peer->can(stream.setup))
        report.parts(question, {peer->name(), peer->is_limit()}, {"p50", "p99"}, "ns", [&] {
          const Latency latency = peer->run(stream).latency;
          return Parts{static_cast<double>(latency.p50_ns), static_cast<double>(latency.p99_ns)};
        });
  }
}

}  // namespace bench
