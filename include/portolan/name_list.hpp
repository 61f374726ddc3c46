// SPDX-License-Identifier: Apache-2.0

// Which names there are at one moment, and which are waited for: for tools. A NameWatch follows them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

struct ListedName {
  std::string name;
  std::uint64_t generation = 0;  ///< as Listener::generation(); 0: nobody listens, and somebody waits for it
  Peer owner;                    ///< who listens
  std::chrono::nanoseconds age{0};  ///< since it was registered
  std::uint32_t pending =
      0;  ///< who has connected and waits: for a listener, or for this one to take its port
};

/// The names that match a pattern such as "org.example.*", of those that this user may connect to, in order.
/// Waits for portoland, for at most 10 s.
///
/// Any thread. Throws PortError: a pattern that is none, no portoland, or one that has gone or is older than
/// this call.
[[nodiscard]] PORTOLAN_API std::vector<ListedName> list_names(std::string_view pattern = "*");

}  // namespace v1
}  // namespace portolan
