// SPDX-License-Identifier: Apache-2.0

// How far the two ends of a channel trust each other; decided when the channel is made, for good.
#pragma once

#include <cstdint>

namespace portolan {
inline namespace v1 {

/// A port is as trustworthy as every process that ever held either end of its channel. So the channel says at
/// its birth who may hold them, and nothing changes later.
///
/// While more than 128 descriptors that foreign peers sent wait to be closed (FileDescriptor says how), or an
/// eighth of RLIMIT_NOFILE if that is fewer, a message that brings more of them is not there yet, nor what is
/// behind it: each such message waits for 100 ms at the most. A port that has brought few of those has its
/// messages up to twice as many.
enum class Trust : std::uint8_t {
  same_user = 0,  ///< ends stay with processes of one uid; posting one elsewhere is a DataCloneError
  foreign =
      1,  ///< ends may go to other users: payloads are copied before they are parsed, at most 16 attachments
};

}  // namespace v1
}  // namespace portolan
