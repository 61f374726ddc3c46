// SPDX-License-Identifier: Apache-2.0

// What a port knows of its channel and its peer, for people and their logs.
#pragma once

#include <cstdint>
#include <string>

#include <portolan/trust.hpp>

namespace portolan {
inline namespace v1 {

/// Who made the channel, as the kernel tells; a port that was handed on may be anybody else's by now.
struct Peer {
  std::uint32_t uid = 0;  ///< 4294967295: of a user that this process's user namespace does not know
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
};

/// A snapshot.
struct ChannelInfo {
  std::string id;  ///< 32 hexadecimal digits, the same at both ends
  std::string label;
  std::uint64_t limit_bytes = 0;  ///< of unread messages, each way
  Trust trust = Trust::same_user;
  std::uint64_t messages_posted = 0;
  std::uint64_t bytes_posted = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t adoptions = 0;  ///< how often this end has found a new owner
  // Of this owner alone:
  std::uint64_t posts_refused = 0;   ///< that found no room, and did not wait for it
  std::uint64_t waits_for_room = 0;  ///< of post_message_for()
  std::uint64_t waited_for_room_ns = 0;
  std::uint64_t late_replies = 0;  ///< dropped, as nobody waited for them any more
};

}  // namespace v1
}  // namespace portolan
