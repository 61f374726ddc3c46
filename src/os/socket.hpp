// SPDX-License-Identifier: Apache-2.0

// AF_UNIX SEQPACKET sockets: packets with descriptors, and what can be asked of a socket. No call here ever
// blocks (MSG_DONTWAIT each time: another holder of the same socket can clear O_NONBLOCK) or raises SIGPIPE.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

inline constexpr std::size_t kMaxDescriptorsPerPacket = 253;  // SCM_MAX_FD in the kernel

/// Two connected sockets. Throws PortError.
[[nodiscard]] std::array<FileDescriptor, 2> make_socket_pair();

/// Sends one packet with at most kMaxDescriptorsPerPacket descriptors, all or nothing; the descriptors stay
/// the caller's. resource_unavailable_try_again: no room. broken_pipe, connection_reset: nobody is there any
/// more. too_many_references (ETOOMANYREFS): this uid has too many descriptors in flight.
[[nodiscard]] std::error_code send_packet(int socket, std::span<const std::byte> packet,
                                          std::span<const int> descriptors) noexcept;

/// Sends the packet of one byte that wakes a sleeper, and means nothing else.
[[nodiscard]] std::error_code send_doorbell(int socket) noexcept;

struct ReceivedPacket {
  enum class Kind : std::uint8_t {
    packet,
    would_block,  // nothing there
    end,    // 0 bytes: the end if it comes twice in a row (the kernel may say it once before the last packet)
    reset,  // the peer closed with packets of ours unread; its own packets may still be behind: read on
    refused,  // `error` says why
  };
  Kind kind = Kind::would_block;
  bool data_truncated = false;  // the packet was longer than the space
  bool descriptors_truncated =
      false;  // more were sent than wanted, or this process has no room; those are gone
  std::size_t size_bytes = 0;
  std::error_code error;
};

/// Takes one packet and at most `max_descriptors` (at most kMaxDescriptorsPerPacket) with it, which are
/// appended to `descriptors`, owned from the first instant and closed on exec, whatever the kind is. Throws
/// std::bad_alloc, and then nothing was taken from the socket.
[[nodiscard]] ReceivedPacket receive_packet(int socket, std::span<std::byte> space,
                                            std::size_t max_descriptors,
                                            std::vector<FileDescriptor>& descriptors);

/// Looks at the next packet, which stays, without its descriptors.
[[nodiscard]] ReceivedPacket peek_packet(int socket, std::span<std::byte> space) noexcept;

/// Takes one packet, or up to `space` of a stream, from a socket of the user's own, with the descriptors that
/// come. The user may have switched on credentials or security labels, which are dropped; they leave room for
/// two descriptors at least.
[[nodiscard]] ReceivedPacket receive_from_carrier(int socket, std::span<std::byte> space,
                                                  std::vector<FileDescriptor>& descriptors);

/// Waits, without bound, until a receive or a send on the socket would not be told to try again.
void wait_until_readable(int socket) noexcept;
void wait_until_writable(int socket) noexcept;

/// Takes every packet that is there; the kernel drops their descriptors.
void discard_packets(int socket) noexcept;

/// Bytes of all packets waiting to be received; 0 if it cannot be asked.
[[nodiscard]] std::size_t queued_bytes(int socket) noexcept;

/// What the packets that the peer has not received yet cost of send_capacity; 0 if it cannot be asked.
[[nodiscard]] std::size_t unsent_bytes(int socket) noexcept;
[[nodiscard]] std::size_t send_capacity(int socket) noexcept;

/// Ends both directions for every holder of this end and of its peer. Packets already sent still arrive.
void shutdown_both(int socket) noexcept;

/// Whether the other end is closed or shut down.
[[nodiscard]] bool hung_up(int socket) noexcept;

/// Whether nobody can send to this end any more, and nothing but empty packets is left in its queue.
[[nodiscard]] bool nothing_to_come(int socket) noexcept;

struct Credentials {
  int pid = 0;
  unsigned uid = 0;
  unsigned gid = 0;
};

/// Who connected this socket or made its pair: of a pair that was handed on, its maker and not its holder.
/// The uid is known_uid()'s.
[[nodiscard]] std::error_code peer_credentials(int socket, Credentials& out) noexcept;

/// The socket's own number: equal for duplicates, different for the two ends. 0 if it cannot be asked.
[[nodiscard]] std::uint64_t socket_inode(int socket) noexcept;

enum class SocketFault : std::uint8_t {
  none,
  not_a_socket,
  wrong_kind,  // not AF_UNIX SEQPACKET
  listening,   // accepts connections instead of being one
  not_connected,
  is_its_carrier,  // the very socket that it came over
  untold,          // the kernel refuses to say now
};

/// Whether a descriptor from elsewhere can be a channel's socket. `carrier_inode` is socket_inode() of the
/// socket that it came over, or 0: nothing is compared with it. A connected end whose peer is gone passes:
/// its queue may hold packets. A fault is a value, like those of files; of SocketFault::untold `refused` says
/// why, if it is asked for.
[[nodiscard]] SocketFault inspect_socket(int socket, std::uint64_t carrier_inode,
                                         std::error_code* refused = nullptr) noexcept;
[[nodiscard]] std::string_view describe(SocketFault fault) noexcept;

/// Whether a socket of the user's own can carry descriptors: an AF_UNIX one of any type that is not
/// listening.
[[nodiscard]] bool is_carrier(int socket) noexcept;

/// Makes the kernel collect sockets that are only reachable from each other's queues: it looks for such
/// cycles when some AF_UNIX socket is released, so this makes a pair and closes it. 11-50 us; does nothing if
/// refused.
void kick_socket_collector() noexcept;

}  // namespace portolan::os
