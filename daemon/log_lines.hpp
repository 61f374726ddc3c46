// SPDX-License-Identifier: Apache-2.0

// The log: a line each on standard error, for a journal or for people.
#pragma once

#include <string_view>

#include <portolan/log.hpp>

namespace portolan::daemon {

/// With a priority in front where systemd reads it, and with a time and the level's name elsewhere.
void write_line(LogLevel level, std::string_view line) noexcept;

}  // namespace portolan::daemon
