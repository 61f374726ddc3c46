// SPDX-License-Identifier: Apache-2.0

#include "port/spin_budget.hpp"

#include "os/process.hpp"

namespace portolan::port {

SpinBudget::SpinBudget() noexcept {
  constexpr std::int64_t kMostNs = 40'000;
  static const std::int64_t most_ns = os::usable_processors() > 1 ? kMostNs : 0;
  most_ns_ = now_ns_ = most_ns;
}

}  // namespace portolan::port
