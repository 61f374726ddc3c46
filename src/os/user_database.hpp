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

/// A uid that no user has.
inline constexpr std::uint32_t kUnknownUid = 0xFFFF'FFFF;

/// What the kernel has told of another process. It tells 65534 of every user whom this process's user
/// namespace does not know, and of one who is that there: then kUnknownUid, unless the namespace knows all
/// users. Also where there is no /proc to ask.
[[nodiscard]] std::uint32_t known_uid(std::uint32_t told) noexcept;

/// Whether the two are one user's; two of whom nothing is known are not.
[[nodiscard]] constexpr bool same_uid(std::uint32_t one, std::uint32_t other) noexcept {
  return one == other && one != kUnknownUid;
}

/// All of a file of at most `most_bytes`; empty if it cannot be read, with errno saying why.
[[nodiscard]] std::optional<std::string> read_text(const std::string& path, std::size_t most_bytes);

}  // namespace portolan::os
