// SPDX-License-Identifier: Apache-2.0

#include "support/watchdog.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <signal.h>
#include <unistd.h>

#include "support/condition.hpp"

namespace portolan::testing {

namespace {

// What the handler prints; it may touch nothing that allocates or locks.
std::array<char, 256> case_name;
std::size_t case_bytes;
std::atomic<const char*> awaited;
std::atomic<const char*> passed_file;
std::atomic<int> passed_line;

void say(std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void bark(int) {
  const char* const waits = awaited.load();
  say(waits != nullptr ? "\nERROR: waits in vain: " : "\nwatchdog: hangs: ");
  say({case_name.data(), case_bytes});
  if (waits != nullptr) {
    say(": for ");
    say(waits);
  }
  if (const char* const file = passed_file.load()) {
    std::array<char, 16> line{};
    const char* const end = std::to_chars(line.data(), line.data() + line.size(), passed_line.load()).ptr;
    say("; after ");
    say(file);
    say(":");
    say({line.data(), static_cast<std::size_t>(end - line.data())});
  }
  say("\n");
  ::_exit(waits != nullptr ? kInVainExit : kWatchdogExit);
}

}  // namespace

Watchdog::Watchdog(std::string_view what, unsigned seconds) {
  ::alarm(0);
  case_bytes = std::min(what.size(), case_name.size());
  std::copy_n(what.begin(), case_bytes, case_name.begin());
  passed_file = nullptr;
  ::signal(SIGALRM, bark);
  ::alarm(seconds);
}

Watchdog::~Watchdog() {
  ::alarm(0);
  ::signal(SIGALRM, SIG_DFL);
}

void Watchdog::passes(const char* file, int line) noexcept {
  const char* const slash = std::strrchr(file, '/');
  passed_line = line;
  passed_file = slash != nullptr ? slash + 1 : file;
}

Waits::Waits(const char* what) noexcept : left_seconds_(::alarm(0)) {
  awaited = what;
  ::signal(SIGALRM, bark);
  ::alarm(kPatience.count());
}

Waits::~Waits() {
  ::alarm(left_seconds_);
  awaited = nullptr;
}

}  // namespace portolan::testing
