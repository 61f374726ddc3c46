// SPDX-License-Identifier: Apache-2.0

// Counts what a test could leave behind, before and after: open descriptors, shared mappings, children, and
// the machine's shared memory, which also shows what sits in a socket queue that nobody can reach any more.
// Private mappings are not counted: allocator arenas and cached thread stacks come and go there.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "support/condition.hpp"

namespace portolan::testing {

struct Census {
  std::map<int, std::string> descriptors;                   // number, and what /proc says it is
  std::multimap<std::string, std::string> shared_mappings;  // what is mapped, and the line of /proc/self/maps
  std::vector<std::string> children;                        // zombies too
  long shmem_kib = 0;                                       // of the whole machine

  static Census take();
};

// How much other programs may have added to Shmem meanwhile.
inline constexpr long kShmemSlackKib = 4096;

// One line for each thing that `after` has and `before` has not; Shmem only when it grew by more than the
// slack.
std::vector<std::string> left_behind(const Census& before, const Census& after);

// Checks at the end of its scope that nothing was left behind. Waits for it, as a killed child's memory and a
// collected socket cycle take their time, and fails the doctest case with the list when the patience is over.
// A scope that is left by an exception is not checked.
class ResourceCensus {
 public:
  explicit ResourceCensus(std::chrono::nanoseconds patience = kPatience);
  ResourceCensus(const ResourceCensus&) = delete;
  ResourceCensus& operator=(const ResourceCensus&) = delete;
  ~ResourceCensus();

 private:
  std::chrono::nanoseconds patience_;
  int exceptions_;
  Census before_;
};

}  // namespace portolan::testing
