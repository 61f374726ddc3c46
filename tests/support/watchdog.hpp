// SPDX-License-Identifier: Apache-2.0

// Ends a test program that hangs. Every test case of every executable runs under one, of kTestCaseSeconds or
// of the case's own `* doctest::timeout(seconds)`; the program says which case hung and exits with 124.
#pragma once

#include <string_view>

namespace portolan::testing {

inline constexpr unsigned kTestCaseSeconds = 120;
inline constexpr int kWatchdogExit = 124;  // as timeout(1) says it

// One at a time in a process: it is the process's alarm(2). Disarmed by its destructor, and in a forked
// child.
class Watchdog {
 public:
  Watchdog(std::string_view what, unsigned seconds);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();
};

}  // namespace portolan::testing
