// SPDX-License-Identifier: Apache-2.0

// What became of a post, where every ordinary outcome is a value.
#pragma once

#include <cstdint>

namespace portolan {
inline namespace v1 {

enum class PostResult : std::uint8_t {
  posted,
  full,       ///< the channel's limit, or the socket's room for ports: nothing was posted, everything is the
              ///< caller's
  closed,     ///< an end is closed: the message is dropped, the transfer list detached, as on the Web
  detached,   ///< this port was moved away: likewise
  timed_out,  ///< no room came in time: nothing was posted, everything is the caller's
};

}  // namespace v1
}  // namespace portolan
