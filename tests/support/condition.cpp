// SPDX-License-Identifier: Apache-2.0

#include "support/condition.hpp"

#include <thread>

namespace portolan::testing {

bool wait_until(const std::function<bool()>& condition, std::chrono::nanoseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) {
      return condition();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace portolan::testing
