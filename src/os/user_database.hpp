// SPDX-License-Identifier: Apache-2.0

// Users and groups by their names, and the groups of whoever is at the other end of a socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace portolan::os {

[[nodiscard]] std::optional<std::uint32_t> uid_of_user(const std::string& name);
[[nodiscard]] std::optional<std::uint32_t> gid_of_user(const std::string& name);
[[nodiscard]] std::optional<std::uint32_t> gid_of_group(const std::string& name);

/// The supplementary groups of whoever connected the socket, as the kernel tells; none if it does not.
[[nodiscard]] std::vector<std::uint32_t> peer_groups(int socket);

/// All of a file of at most `most_bytes`; empty if it cannot be read, with errno saying why.
[[nodiscard]] std::optional<std::string> read_text(const std::string& path, std::size_t most_bytes);

}  // namespace portolan::os
