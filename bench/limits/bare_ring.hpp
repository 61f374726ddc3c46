// SPDX-License-Identifier: Apache-2.0

// The machine's limit for messages of one size through shared memory: a ring with one writer and one reader,
// as good as we can write it, and nothing else. No sleeping, no closing, no owner that could be another one
// tomorrow.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Copied in by the child, copied out and checked here: messages a second.
double bare_ring_rate(std::size_t bytes, std::uint64_t count);

}  // namespace bench
