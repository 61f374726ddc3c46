// SPDX-License-Identifier: Apache-2.0

// Handing a port to another process over a Unix socket of the user's own.
#pragma once

#include <system_error>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// Sends the port to whoever calls receive_port() at the other end of `unix_socket`: a stream, seqpacket or
/// connected datagram socket, blocking or not, which stays the caller's. Unread messages go along. Waits
/// while the socket is full. On success the port is detached; it lives in the socket's queue until it is
/// received, and is closed with it.
///
/// On a stream it is one record among the user's own bytes: 112 bytes that the receiver must meet at their
/// beginning.
///
/// Throws, and leaves the port the caller's and usable: DataCloneError if it is detached, closed or has an
/// open reservation, or if it is an end of a Trust::same_user channel and the kernel does not say that the
/// process at the other end (the one that connected, accepted or made the pair) has this process's uid,
/// which it never says of a user that this user namespace does not know; PortError if the kernel refuses: no
/// such socket, nobody at the other end, too many descriptors in flight
/// (ETOOMANYREFS).
PORTOLAN_API void send_port(int unix_socket, MessagePort&& port);
/// The same, with what would be a PortError as a value.
PORTOLAN_API void send_port(int unix_socket, MessagePort&& port, std::error_code& error);

/// Receives a port that send_port() sent; waits for it. Takes exactly its record from the socket, and nothing
/// of what follows. Empty packets in front of it are skipped.
///
/// Throws DataCloneError if what comes is not a port, or is a Trust::same_user one from another uid: then the
/// packet (of a stream, at most 112 bytes) is gone, its descriptors are closed, and the text says what was
/// wrong. Throws PortError if the other end is closed (connection_reset), or if the kernel refuses; without
/// descriptors to spare (EMFILE) the port stays in the socket, and a later call gets it.
[[nodiscard]] PORTOLAN_API MessagePort receive_port(int unix_socket);
/// The same, with what would be a PortError as a value, and then a detached port.
[[nodiscard]] PORTOLAN_API MessagePort receive_port(int unix_socket, std::error_code& error);

}  // namespace v1
}  // namespace portolan
