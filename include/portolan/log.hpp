// SPDX-License-Identifier: Apache-2.0

// What the library has to say to people. It is silent until a program sets a sink, or until somebody sets
// PORTOLAN_LOG in the environment, and it never writes to standard output.
#pragma once

#include <cstdint>
#include <string_view>

#include <portolan/callback.hpp>
#include <portolan/export.hpp>

namespace portolan {
inline namespace v1 {

/// error: something is lost. warning: something is probably not what the program means, such as a port with
/// unread messages whose loop has ended, or a peer that was given up for what it wrote. info and debug: what
/// happens.
enum class LogLevel : std::uint8_t { off, error, warning, info, debug };

/// The enumerator's name, as PORTOLAN_LOG has it.
[[nodiscard]] PORTOLAN_API std::string_view to_string(LogLevel level) noexcept;

/// Called with every message of `most` and more serious ones, which has no newline at its end. An empty sink
/// makes the library silent again, PORTOLAN_LOG included.
///
/// From any thread. The sink is called on the thread that has something to say, on several at a time if it so
/// happens, in the middle of a call of the library, and once more if it uses the library itself: it must
/// neither throw (what it throws is dropped) nor wait. A sink is kept until the process ends, as another
/// thread may be in it. Throws std::bad_alloc.
///
/// Without a sink PORTOLAN_LOG=error, warning, info or debug at the program's start has messages written to
/// standard error.
PORTOLAN_API void set_log_sink(Callback<void(LogLevel, std::string_view)> sink,
                               LogLevel most = LogLevel::warning);

}  // namespace v1
}  // namespace portolan
