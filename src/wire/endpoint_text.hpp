// SPDX-License-Identifier: Apache-2.0

// Endpoints as text, for the environment of a program that is executed: which descriptors are a port, and who
// it is. One endpoint is `segment,socket,generation,side,channel id,name`, several are joined by `;`, and
// `1;` (the version) stands in front: `1;5,6,12,a,00112233445566778899aabbccddeeff,parent`. There is one
// spelling of each value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/attachments.hpp"

namespace portolan::wire {

inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxTextEndpoints =
    1024;  // 2 descriptors each: more would not fit a usual RLIMIT_NOFILE

struct EndpointText {
  int segment = -1;
  int socket = -1;
  std::uint64_t expected_generation = 0;
  Side side = Side::a;
  ChannelId channel{};
  std::string name;
  friend bool operator==(const EndpointText&, const EndpointText&) = default;
};

/// Whether a name can stand in the text: 1 to kMaxNameBytes of letters, digits and `._-:/@+`.
[[nodiscard]] bool is_endpoint_name(std::string_view name) noexcept;

/// The text; names must be endpoint names and descriptors not negative.
[[nodiscard]] std::string format_endpoints(std::span<const EndpointText> endpoints);

/// The endpoints, if the text is one that format_endpoints writes, with all descriptors and all names
/// different.
[[nodiscard]] std::optional<std::vector<EndpointText>> parse_endpoints(std::string_view text);

}  // namespace portolan::wire
