// SPDX-License-Identifier: Apache-2.0

// One side's fence for both: a sleeper makes every registered process that runs right now execute a full
// barrier, so that writers need none of their own. Registering takes 14 ms in a process with several threads
// and 1 us in one with a single thread (measured on Linux 6.18), so a library constructor does it. fork
// inherits it, exec clears it.
#pragma once

namespace portolan::os {

/// Whether this process takes part: barriers reach it, and it may issue them. False where the kernel or a
/// filter refuses; then both sides need fences of their own. Does not change after the library is loaded.
[[nodiscard]] bool membarrier_registered() noexcept;

/// Makes every running thread of every registered process execute a full memory barrier. False if refused (a
/// filter can be installed after the registration), and then nothing is promised. Takes about 13 us.
[[nodiscard]] bool membarrier() noexcept;

}  // namespace portolan::os
