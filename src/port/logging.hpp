// SPDX-License-Identifier: Apache-2.0

// The library's side of portolan/log.hpp.
#pragma once

#include <string>
#include <utility>

#include <portolan/log.hpp>

namespace portolan::port {

/// Whether anybody would hear it.
[[nodiscard]] bool logs(LogLevel level) noexcept;
void write_to_log(LogLevel level, const std::string& message) noexcept;

/// What `message` returns, which is called only if somebody will hear it. From any thread; without locks,
/// also in a forked child.
template <class F>
void log(LogLevel level, F&& message) noexcept {
  if (!logs(level)) return;
  try {
    write_to_log(level, std::forward<F>(message)());
  } catch (...) {
    // No memory to say it.
  }
}

}  // namespace portolan::port
