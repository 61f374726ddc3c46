// SPDX-License-Identifier: Apache-2.0

// Whoever has started the daemon: systemd, if it says so in the environment, else nobody.
#pragma once

#include <string>

#include <portolan/file_descriptor.hpp>

namespace portolan::daemon {

/// The socket that was passed in; owns none if there is none. Throws PortError if there are several.
[[nodiscard]] FileDescriptor passed_socket();

/// As sd_notify(3) has it.
void notify(const std::string& state) noexcept;

}  // namespace portolan::daemon
