// SPDX-License-Identifier: Apache-2.0

// Waiting on several ports at once, for threads without a loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <stop_token>

#include <portolan/export.hpp>

namespace portolan {
inline namespace v1 {

class MessagePort;

/// None of them.
inline constexpr std::size_t npos = static_cast<std::size_t>(-1);

/// Waits until a receive on one of `ports` would give something, a message or the end, and returns the index
/// of the first such port; npos when the time is up. A late reply alone may end the wait, too. A detached or
/// closed port is one with an end. Sleeps as receive() does, on all of them at once; close() of one from
/// another thread ends it. A message that a foreign peer sent descriptors with may have to wait all the same
/// when it is received: see Trust. The calling thread is the receiving one of all of them. Throws PortError
/// if there are no descriptors to sleep on, InvalidStateError in a forked child, whose copies are nobody's.
[[nodiscard]] PORTOLAN_API std::size_t wait_any(std::span<MessagePort* const> ports,
                                                std::chrono::nanoseconds patience);
/// The same, until stop is requested: npos.
[[nodiscard]] PORTOLAN_API std::size_t wait_any(std::span<MessagePort* const> ports, std::stop_token stop);
[[nodiscard]] PORTOLAN_API std::size_t wait_any(std::span<MessagePort* const> ports,
                                                std::chrono::nanoseconds patience, std::stop_token stop);

}  // namespace v1
}  // namespace portolan
