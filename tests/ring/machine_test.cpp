// SPDX-License-Identifier: Apache-2.0

// Random operations of both ends and of their successors: nothing lost, nothing twice, nothing torn, all in
// order; marked are exactly those that were handed out and not passed; no block stays behind.
#include <doctest/doctest.h>

#include "random_seed.hpp"
#include "ring_machine.hpp"

using namespace portolan::testing;

namespace {

struct Sums {
  std::uint64_t posted = 0, refused = 0, redelivered = 0, adoptions = 0;
};

Sums run_machines(std::uint64_t seed, portolan::ring::Geometry geometry, bool refusals, int machines) {
  Sums sums;
  for (int number = 0; number < machines; ++number) {
    const std::uint64_t own_seed = seed + static_cast<std::uint64_t>(number);
    CAPTURE(own_seed);
    RingMachine machine(own_seed, geometry, refusals);
    for (int step = 0; step < 10'000; ++step) machine.step();
    machine.finish();
    sums.posted += machine.posted();
    sums.refused += machine.refused();
    sums.redelivered += machine.redelivered();
    sums.adoptions += machine.adoptions();
  }
  return sums;
}

// A random run that never got anywhere would prove nothing.
void check_reached(const Sums& sums, std::uint64_t machines) {
  CHECK(sums.posted > machines * 1000);
  CHECK(sums.refused > 0);
  CHECK(sums.redelivered > machines);
  CHECK(sums.adoptions > machines * 10);
}

}  // namespace

TEST_CASE("random operations on a ring of 16 small blocks agree with a list") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  check_reached(run_machines(seed, RingMemory::kSmall, false, 100), 100);
}

TEST_CASE("random operations on a ring whose kernel refuses memory now and then agree with a list") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  check_reached(run_machines(seed, RingMemory::kSmall, true, 50), 50);
}

TEST_CASE("random operations on a ring whose runs span several words of the maps agree with a list") {
  const std::uint64_t seed = random_seed();
  MESSAGE("--seed=" << seed);
  check_reached(run_machines(seed, {4096, 300}, false, 20), 20);
}
