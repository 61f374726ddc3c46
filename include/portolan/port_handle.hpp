// SPDX-License-Identifier: Apache-2.0

// A port by hand: the two descriptors that are a port, for ways of passing them on that the library does not
// know.
#pragma once

#include <cstdint>

#include <portolan/export.hpp>
#include <portolan/file_descriptor.hpp>

namespace portolan {
inline namespace v1 {

/// Two descriptors and the generation that an adopter must find. Whoever adopts first has the port; a second
/// adoption of the same endpoint fails. Destroying a handle closes the descriptors: if no other holder is
/// left, the peer sees the end of the channel.
class PORTOLAN_API PortHandle {
 public:
  /// Empty.
  PortHandle() noexcept = default;
  /// From descriptors that came by a way of the user's own, and the generation that came with them.
  PortHandle(FileDescriptor segment, FileDescriptor socket, std::uint64_t generation,
             bool second_side) noexcept
      : segment_(std::move(segment)),
        socket_(std::move(socket)),
        generation_(generation),
        second_side_(second_side) {}

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
  /// The segment: all of the channel's memory.
  [[nodiscard]] FileDescriptor& segment() noexcept PORTOLAN_LIFETIMEBOUND { return segment_; }
  /// This end's socket.
  [[nodiscard]] FileDescriptor& socket() noexcept PORTOLAN_LIFETIMEBOUND { return socket_; }
  /// What must travel with the descriptors.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  /// Which of the channel's ends it is; must travel too.
  [[nodiscard]] bool second_side() const noexcept { return second_side_; }

 private:
  FileDescriptor segment_;
  FileDescriptor socket_;
  std::uint64_t generation_ = 0;
  bool second_side_ = false;
};

}  // namespace v1
}  // namespace portolan
