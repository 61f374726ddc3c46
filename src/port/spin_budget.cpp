// SPDX-License-Identifier: Apache-2.0

#include "port/spin_budget.hpp"

#include <thread>

#include "os/process.hpp"

namespace portolan::port {

SpinBudget::SpinBudget() noexcept {
  constexpr std::int64_t kMostNs = 40'000;
  static const std::int64_t most_ns = std::thread::hardware_concurrency() > 1 ? kMostNs : 0;
  static const bool pinned = os::usable_processors() == 1;
  most_ns_ = now_ns_ = most_ns;
  least_ns_ = pinned ? 0 : most_ns / 8;
}

}  // namespace portolan::port
