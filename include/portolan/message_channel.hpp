// SPDX-License-Identifier: Apache-2.0

// The Web's MessageChannel: two ports that are each other's peers.
#pragma once

#include <cstddef>
#include <string>
#include <system_error>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>
#include <portolan/trust.hpp>

namespace portolan {
inline namespace v1 {

struct ChannelOptions {
  /// Of unread messages, each way; rounded up to what the segment's blocks allow, which is 64 KiB at least
  /// and 512 GiB at most. A larger message goes when no other one of more than a quarter of this is unread.
  std::size_t limit_bytes = 64 << 20;
  std::string label = {};  ///< for people and tools; its first 63 bytes are kept
  Trust trust = Trust::same_user;
  bool prefault = false;  ///< gives both rings all their memory now, so that no post waits for a page later
};

/// Costs a memory file and a socketpair; neither port is mapped before its first use. Throws PortError
/// (descriptors, memory; with Trust::foreign also for a limit of more than 128 MiB).
class PORTOLAN_API MessageChannel {
 public:
  MessageChannel() : MessageChannel(ChannelOptions{}) {}
  explicit MessageChannel(const ChannelOptions& options);
  /// The same with the PortError's code: both ports are detached then.
  MessageChannel(const ChannelOptions& options, std::error_code& error);

  MessagePort port1;
  MessagePort port2;
};

}  // namespace v1
}  // namespace portolan
