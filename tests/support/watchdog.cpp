// SPDX-License-Identifier: Apache-2.0

#include "support/watchdog.hpp"

#include <algorithm>
#include <array>
#include <signal.h>
#include <unistd.h>

namespace portolan::testing {

namespace {

// What the handler prints; it may touch nothing that allocates or locks.
std::array<char, 256> message;
std::size_t message_bytes;

void bark(int) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message.data(), message_bytes);
  ::_exit(kWatchdogExit);
}

void append(std::string_view text) {
  const std::size_t count = std::min(text.size(), message.size() - message_bytes);
  std::copy_n(text.begin(), count, message.begin() + static_cast<std::ptrdiff_t>(message_bytes));
  message_bytes += count;
}

}  // namespace

Watchdog::Watchdog(std::string_view what, unsigned seconds) {
  ::alarm(0);
  message_bytes = 0;
  append("\nwatchdog: hangs: ");
  append(what.substr(0, 200));
  append("\n");
  ::signal(SIGALRM, bark);
  ::alarm(seconds);
}

Watchdog::~Watchdog() {
  ::alarm(0);
  ::signal(SIGALRM, SIG_DFL);
}

}  // namespace portolan::testing
