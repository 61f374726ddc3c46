// SPDX-License-Identifier: Apache-2.0

// Close(2) of a descriptor that somebody else has made may wait as long as that one likes: on a thread that
// has nothing else to do.
#pragma once

#include <cstdint>

namespace portolan::os {

/// Has the closer thread close it; the first call of a process starts that thread. Never waits for a close.
/// False, and nothing has happened, without memory for the thread or its list.
///
/// The thread runs under SCHED_IDLE: any other thread takes the processor from it at once, and where others
/// keep all processors busy it gets 3 of 1,000 parts of one. Nobody ever waits for it; what it has not closed
/// at the program's end is left to the kernel.
///
/// A forked child has a thread of its own from its first call on. Descriptors that waited in the parent at
/// that moment stay open in the child until it executes something else or ends.
[[nodiscard]] bool close_elsewhere(int descriptor) noexcept;

/// How many it was given in this process, and how many of them it has closed. In the order in which it was
/// given them.
struct ToClose {
  std::uint64_t given = 0;
  std::uint64_t closed = 0;
};
[[nodiscard]] ToClose to_close() noexcept;

}  // namespace portolan::os
