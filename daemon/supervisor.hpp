// SPDX-License-Identifier: Apache-2.0

// Whoever has started the daemon: systemd, if it says so in the environment, else nobody.
#pragma once

#include <string>
#include <vector>

#include <portolan/broker.hpp>
#include <portolan/file_descriptor.hpp>

namespace portolan::daemon {

/// What was passed in: a socket to listen at, if there is one, and what a daemon before this one has stored.
struct Passed {
  FileDescriptor socket;
  std::string path;  // of its file
  std::vector<StoredDescriptor> stored;
};
/// Throws PortError if there are several sockets.
[[nodiscard]] Passed passed_descriptors();

/// Empty if nobody would store anything.
[[nodiscard]] DescriptorStore descriptor_store();

/// As sd_notify(3) has it.
void notify(const std::string& state) noexcept;

}  // namespace portolan::daemon
