// SPDX-License-Identifier: Apache-2.0

// Addresses that strangers find each other by, and where portoland is to be found.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace portolan::names {

struct Address {
  std::string text;  // as it was given
  std::string path;  // of "unix:PATH", else empty
  [[nodiscard]] bool is_path() const noexcept { return !path.empty(); }
  // For what is thrown: `connect("unix:/run/x")`.
  [[nodiscard]] std::string in(std::string_view call) const;
};

/// Throws PortError (invalid_argument), which names the call, if it is neither "unix:PATH" nor a name.
[[nodiscard]] Address parse_address(std::string_view call, std::string_view text);

/// Where a daemon may listen, in the order in which to try: $PORTOLAN_SOCKET alone if it is set, else the
/// user's and the system's. The second is how to say it to people.
struct DaemonPlace {
  std::string path;
  std::string shown;
};
[[nodiscard]] std::vector<DaemonPlace> daemon_places();

}  // namespace portolan::names
