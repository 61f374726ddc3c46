// SPDX-License-Identifier: Apache-2.0

// What the daemon gives up, and the one thing it takes more of, once it has what it needs.
#pragma once

#include <string>
#include <sys/types.h>

namespace portolan::daemon {

/// As many descriptors as the hard limit allows; how many that is.
[[nodiscard]] unsigned long raise_descriptor_limit() noexcept;

/// Throws PortError if there is no such user.
[[nodiscard]] uid_t uid_of(const std::string& user);
/// This user from now on, for good. Throws PortError.
void become(const std::string& user);

/// No new privileges, and only the system calls that a broker has a use for: another one ends the process.
/// False: built without libseccomp, or the kernel has no filters.
[[nodiscard]] bool filter_system_calls() noexcept;

}  // namespace portolan::daemon
