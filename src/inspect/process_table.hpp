// SPDX-License-Identifier: Apache-2.0

// What /proc tells of processes. All of it may be gone between two looks, and then is empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace portolan::inspect {

/// The file's contents, of at most 64 KiB; empty if it cannot be read.
[[nodiscard]] std::string read_text(const std::string& path);

/// The value behind `name:` in a text of such lines, without what surrounds it.
[[nodiscard]] std::string field_of(const std::string& text, const std::string& name);

/// Numbers of all processes, in order.
[[nodiscard]] std::vector<int> all_processes();

/// Numbers of the process's descriptors; nothing if this user may not look.
[[nodiscard]] std::optional<std::vector<int>> descriptors_of(int pid);

struct ProcessStatus {
  std::string name;  // fit to be shown
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> pids;  // in each pid namespace, from ours to its own
};
[[nodiscard]] ProcessStatus status_of(int pid);

}  // namespace portolan::inspect
