// SPDX-License-Identifier: Apache-2.0

#include "cache_line.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "cpu.hpp"
#include "partner.hpp"

namespace bench {

namespace {

struct Lines {
  alignas(64) std::atomic<std::uint32_t> ping{0};
  alignas(64) std::atomic<std::uint32_t> pong{0};
};

}  // namespace

std::int64_t cache_line_round_trip_ns() {
  constexpr std::uint32_t kBatches = 40, kTripsInBatch = 250;
  static Lines& lines = shared<Lines>();
  lines.ping = lines.pong = 0;
  const Partner partner([] {
    for (std::uint32_t trip = 1; trip <= kBatches * kTripsInBatch; ++trip) {
      while (lines.ping.load(std::memory_order_acquire) != trip) pause();
      lines.pong.store(trip, std::memory_order_release);
    }
  });
  std::vector<std::int64_t> samples;
  std::uint32_t trip = 0;
  for (std::uint32_t batch = 0; batch < kBatches; ++batch) {
    const std::int64_t began = now_ns();
    for (std::uint32_t i = 0; i < kTripsInBatch; ++i) {
      lines.ping.store(++trip, std::memory_order_release);
      while (lines.pong.load(std::memory_order_acquire) != trip) pause();
    }
    samples.push_back((now_ns() - began) / kTripsInBatch);
  }
  const auto middle = samples.begin() + std::ssize(samples) / 2;
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

}  // namespace bench
