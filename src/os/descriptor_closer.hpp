// SPDX-License-Identifier: Apache-2.0

// Close(2) of a descriptor that somebody else has made may wait as long as that one likes: on a thread that
// has nothing else to do.
#pragma once

namespace portolan::os {

/// Has the closer thread close it; the first call of a process starts that thread. Never waits for a close.
/// At the program's end the thread ends, unless a close holds it, and what still waits is left to the kernel.
/// False, and nothing has happened, without memory for the thread or its list.
///
/// A forked child has a thread of its own from its first call on. Descriptors that waited in the parent at
/// that moment stay open in the child until it executes something else or ends.
[[nodiscard]] bool close_elsewhere(int descriptor) noexcept;

}  // namespace portolan::os
