// SPDX-License-Identifier: Apache-2.0

// Ends a test program that hangs. Every test case of every executable runs under one, of kTestCaseSeconds or
// of the case's own `* doctest::timeout(seconds)`; the program says which case hung and after which
// assertion, and exits with 124. PORTOLAN_CASE_SECONDS is a lower limit, for whoever expects cases to hang.
#pragma once

#include <string_view>

namespace portolan::testing {

inline constexpr unsigned kTestCaseSeconds = 120;
inline constexpr int kWatchdogExit = 124;  // as timeout(1) says it
inline constexpr int kInVainExit = 123;    // of a Waits

// One at a time in a process: it is the process's alarm(2). Disarmed by its destructor, and in a forked
// child.
class Watchdog {
 public:
  Watchdog(std::string_view what, unsigned seconds);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // That it came as far as this, from any thread.
  static void passes(const char* file, int line) noexcept;
};

// A deadline of kPatience for a call that has none of its own, or whose own is what is tested: while it
// lives, the program ends when that has passed, says that it waited in vain for `what`, and exits with 123.
// One at a time; with a watchdog, and in a forked child without.
class Waits {
 public:
  explicit Waits(const char* what) noexcept;
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;
  ~Waits();

 private:
  const unsigned left_seconds_;
};

}  // namespace portolan::testing
