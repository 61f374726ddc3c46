// SPDX-License-Identifier: Apache-2.0

// libFuzzer's entry to the hostile ring: build with clang, run `ring-fuzz corpus/`. hostile_test.cpp plays
// random scripts on the same machine, with any compiler.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "hostile_ring.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  static portolan::testing::RingMemory memory;
  if (!portolan::testing::HostileRing(memory).run({data, bytes})) std::abort();
  return 0;
}
