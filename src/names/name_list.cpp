// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/name_list.hpp>

#include "names/daemon_link.hpp"
#include "os/pause.hpp"

namespace portolan {
inline namespace v1 {

std::vector<ListedName> list_names(std::string_view pattern) {
  constexpr std::int64_t kAnswerNs = 10'000'000'000;
  const std::string call = "list_names(\"" + std::string(pattern) + "\")";
  if (!wire::is_name_pattern(pattern))
    throw PortError(std::make_error_code(std::errc::invalid_argument),
                    call + ": this is no pattern of names; use letters, digits, ._- and *");
  names::DaemonLink link;
  if (const auto error = link.open()) throw PortError(error, call + ": " + link.explain(error));
  wire::NamePacket request;
  request.kind = wire::NameKind::list;
  request.name = pattern;
  std::vector<names::DaemonLink::Arrived> listed;
  static_cast<void>(link.call(call, std::move(request), {}, os::monotonic_ns() + kAnswerNs, &listed));
  std::vector<ListedName> names;
  for (names::DaemonLink::Arrived& each : listed) {
    wire::NamePacket& packet = each.packet;
    if (packet.kind != wire::NameKind::listed) continue;
    names.push_back({std::move(packet.name),
                     packet.generation,
                     {packet.uid, packet.gid, packet.pid},
                     std::chrono::nanoseconds(packet.duration_ns),
                     packet.code});
  }
  std::sort(names.begin(), names.end(),
            [](const ListedName& a, const ListedName& b) { return a.name < b.name; });
  return names;
}

}  // namespace v1
}  // namespace portolan
