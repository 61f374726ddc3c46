// SPDX-License-Identifier: Apache-2.0

// Waiting for something to become true. A test waits for a condition and never for a time: the deadline is
// only there so that a broken program ends, and no test may conclude anything from how long a wait took.
#pragma once

#include <chrono>
#include <functional>

namespace portolan::testing {

// Longer than any healthy condition takes on a loaded two-processor machine under a sanitizer.
inline constexpr std::chrono::seconds kPatience{30};

// Asks `condition` every millisecond. True as soon as it holds, false when `deadline` passed without it.
[[nodiscard]] bool wait_until(const std::function<bool()>& condition,
                              std::chrono::nanoseconds deadline = kPatience);

}  // namespace portolan::testing
