// SPDX-License-Identifier: Apache-2.0

#include "log_lines.hpp"

#include <cstdlib>
#include <ctime>
#include <exception>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

namespace portolan::daemon {

namespace {

// As in <syslog.h>.
int priority_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::error:
      return 3;
    case LogLevel::warning:
      return 4;
    case LogLevel::info:
      return 6;
    default:
      return 7;
  }
}

}  // namespace

void write_line(LogLevel level, std::string_view line) noexcept {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  try {
    const std::string text = journal ? fmt::format("<{}>{}\n", priority_of(level), line)
                                     : fmt::format("{:%Y-%m-%dT%H:%M:%S}Z {} {}\n",
                                                   fmt::gmtime(std::time(nullptr)), to_string(level), line);
    // One write, so that lines stay whole; what cannot be written is lost.
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
  } catch (const std::exception&) {
    // No memory to say it with.
  }
}

}  // namespace portolan::daemon
