// SPDX-License-Identifier: Apache-2.0

// A service whose ports nobody wants, and a program that connects to it: what connecting costs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

inline constexpr const char* kServiceName = "org.example.bench";

/// Accepts and drops whoever comes, until it is killed.
int accept_all();

/// Microseconds of each of so many connects, one after the other.
[[nodiscard]] std::vector<double> time_connects(std::size_t count);

struct Quantiles {
  double median = 0;
  double p99 = 0;
};
[[nodiscard]] Quantiles quantiles_of(std::vector<double> times);

}  // namespace bench
