// SPDX-License-Identifier: Apache-2.0

// Ports that survive their owner: portoland holds duplicates of their descriptors, and the service that is
// started again takes them up where the one before it was killed.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

struct KeepOptions {
  std::string label = "port";  ///< which of the service's ports it is, to its successor; kept once under each
  std::chrono::nanoseconds deadline =
      std::chrono::seconds(60);  ///< from the owner's death; portoland may cut it
};

/// Has portoland hold `port` for whoever has to go on as `name`, which this user may own; the port stays the
/// caller's and works as before. If this process is killed the peer does not notice: what it posts waits for
/// reclaim(). When the deadline is over and nobody has come, the peer gets `close` with
/// CloseReason::owner_gone. If the port is closed, it is held no longer; if it is moved away, within a
/// second; until then its new owner's death is not seen by its peer. A second call under the same label
/// replaces the first. Where systemd starts portoland, custody outlives portoland itself; elsewhere it
/// forgets all when it ends: keep again once it is back.
///
/// From any thread. Throws PortError (no portoland, the policy, a label that a port of another process has,
/// limits), InvalidStateError for a port that is detached or closed, and DataCloneError for an end of a
/// Trust::same_user channel if portoland runs neither as this user nor as root.
PORTOLAN_API void keep(std::string_view name, MessagePort& port, KeepOptions options = {});

/// The ports that were kept as `name` by a process of this user that has ended, or by the program that this
/// one has replaced by exec, by their labels; waits for its end. The message that it had in hand comes again,
/// marked redelivered; everything later comes once. They stay in custody, for this process now. None is no
/// error.
///
/// Throws PortError: timed_out if the owner lives on, no portoland, the policy.
[[nodiscard]] PORTOLAN_API std::map<std::string, MessagePort> reclaim(
    std::string_view name, std::chrono::nanoseconds patience = std::chrono::seconds(30));

/// Ends the custody of this process's port of that label, or of all of them. Throws PortError.
PORTOLAN_API void drop_kept(std::string_view name, std::string_view label = {});

}  // namespace v1
}  // namespace portolan
