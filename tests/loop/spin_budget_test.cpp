// SPDX-License-Identifier: Apache-2.0

// For how long a receive looks out before it sleeps, by what it has met before.
#include "port/spin_budget.hpp"

#include <doctest/doctest.h>
#include <thread>

#include "os/process.hpp"

using portolan::port::SpinBudget;

namespace {

constexpr std::int64_t kMostNs = 40'000, kAtOnceNs = 300;

// A process that may run on one CPU alone, or a machine that has no other, looks out by other rules.
bool others_may_run() {
  return std::thread::hardware_concurrency() > 1 && portolan::os::usable_processors() > 1;
}

// Messages that come at once, and then none for long.
void meet_bursts(SpinBudget& budget, int count) {
  for (int burst = 0; burst < count; ++burst) {
    for (int message = 0; message < 100; ++message) budget.paid_off(kAtOnceNs);
    budget.failed();
    budget.slept(1'000'000);
  }
}

}  // namespace

TEST_CASE("after bursts with long gaps between them, a receive no longer looks out for long") {
  if (!others_may_run()) return;
  SpinBudget budget;
  CHECK(budget.nanoseconds() == kMostNs);
  meet_bursts(budget, 32);
  CHECK(budget.nanoseconds() == kMostNs / 8);
}

TEST_CASE("messages that come late, but before a sleep would have paid, are looked out for again") {
  if (!others_may_run()) return;
  SUBCASE("seen while looking out") {
    SpinBudget budget;
    meet_bursts(budget, 32);
    budget.paid_off(kMostNs / 8);
    CHECK(budget.nanoseconds() == kMostNs);
  }
  SUBCASE("seen by who had fallen asleep just before") {
    SpinBudget budget;
    meet_bursts(budget, 32);
    budget.slept(kMostNs / 2);
    CHECK(budget.nanoseconds() == kMostNs);
  }
}

TEST_CASE("a conversation that never waits for long keeps what it looks out for") {
  if (!others_may_run()) return;
  SpinBudget budget;
  for (int message = 0; message < 1000; ++message) budget.paid_off(kAtOnceNs);
  CHECK(budget.nanoseconds() == kMostNs);
}
