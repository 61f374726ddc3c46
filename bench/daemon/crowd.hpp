// SPDX-License-Identifier: Apache-2.0

// Connections to the daemon by programs that do not use the library: packets as docs/daemon-protocol.md has
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/file_descriptor.hpp>

namespace bench {

inline constexpr std::uint16_t kHello = 16;
inline constexpr std::uint16_t kResolve = 19;

[[nodiscard]] std::vector<char> packet_of(std::uint16_t kind, std::string_view name,
                                          std::uint64_t duration_ns);

/// Does not block; owns nothing if the daemon's queue is full.
[[nodiscard]] portolan::FileDescriptor raw_connection(const std::string& socket);

/// Whether the packet was taken.
bool send_packet(const portolan::FileDescriptor& connection, const std::vector<char>& packet);

}  // namespace bench
