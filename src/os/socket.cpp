// SPDX-License-Identifier: Apache-2.0

// Making, asking and inspecting sockets; packets are in packet_io.cpp.
#include "os/socket.hpp"

#include <cerrno>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "os/refusal.hpp"
#include "os/user_database.hpp"

namespace portolan::os {
namespace {

// -1 if it cannot be asked.
int option(int socket, int name) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

std::size_t counted(int socket, unsigned long request) noexcept {
  int bytes = 0;
  return ::ioctl(socket, request, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

// The domain of the socket at the other end; -1: there is none.
int peer_domain(int socket) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const bool connected = ::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  return connected ? address.ss_family : -1;
}

}  // namespace

std::array<FileDescriptor, 2> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw_refusal(last_error(), "socketpair", {}, "close descriptors or raise RLIMIT_NOFILE (ulimit -n)");
  }
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

std::size_t queued_bytes(int socket) noexcept {
  return counted(socket, FIONREAD);
}

std::size_t unsent_bytes(int socket) noexcept {
  return counted(socket, SIOCOUTQ);
}

std::size_t send_capacity(int socket) noexcept {
  const int bytes = option(socket, SO_SNDBUF);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void shutdown_both(int socket) noexcept {
  ::shutdown(socket, SHUT_RDWR);
}

bool hung_up(int socket) noexcept {
  pollfd asked{socket, 0, 0};  // hang-up and error are reported without asking
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool nothing_to_come(int socket) noexcept {
  pollfd asked{socket, POLLRDHUP, 0};
  // In this order: what is queued once nobody can send is all there will be.
  return ::poll(&asked, 1, 0) > 0 && asked.revents != 0 && queued_bytes(socket) == 0;
}

std::error_code peer_credentials(int socket, Credentials& out) noexcept {
  ucred found{};
  socklen_t size = sizeof found;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) return last_error();
  out = {found.pid, known_uid(found.uid), found.gid};
  return {};
}

std::uint64_t socket_inode(int socket) noexcept {
  struct stat status {};
  return ::fstat(socket, &status) == 0 ? status.st_ino : 0;
}

SocketFault inspect_socket(int socket, std::uint64_t carrier_inode, std::error_code* refused) noexcept {
  const auto untold = [refused](SocketFault otherwise) {
    if (!is_shortage()) return otherwise;
    if (refused != nullptr) *refused = last_error();
    return SocketFault::untold;
  };
  // First, because the kernel answers it alone; fstat of what it is instead could wait for a file server.
  const int type = option(socket, SO_TYPE);
  if (type < 0) return untold(SocketFault::not_a_socket);
  if (type != SOCK_SEQPACKET) return SocketFault::wrong_kind;
  if (const int domain = peer_domain(socket); domain != AF_UNIX) {
    if (domain < 0 && is_shortage()) return untold(SocketFault::not_connected);
    if (domain >= 0 || option(socket, SO_DOMAIN) != AF_UNIX) return SocketFault::wrong_kind;
    return option(socket, SO_ACCEPTCONN) != 0 ? SocketFault::listening : SocketFault::not_connected;
  }
  if (carrier_inode == 0) return SocketFault::none;
  const std::uint64_t inode = socket_inode(socket);
  if (inode == 0) return untold(SocketFault::wrong_kind);
  return inode == carrier_inode ? SocketFault::is_its_carrier : SocketFault::none;
}

bool is_carrier(int socket) noexcept {
  return option(socket, SO_DOMAIN) == AF_UNIX && option(socket, SO_ACCEPTCONN) == 0;
}

std::string_view describe(SocketFault fault) noexcept {
  switch (fault) {
    case SocketFault::none:
      return "it is as it should be";
    case SocketFault::not_a_socket:
      return "it is no socket";
    case SocketFault::wrong_kind:
      return "it is no AF_UNIX SEQPACKET socket";
    case SocketFault::listening:
      return "it is a listening socket";
    case SocketFault::not_connected:
      return "it is not connected";
    case SocketFault::is_its_carrier:
      return "it is the socket that it came over";
    case SocketFault::untold:
      return "the kernel does not say now what it is";
  }
  return "unknown";
}

void kick_socket_collector() noexcept {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  const FileDescriptor first(ends[0]);
  const FileDescriptor second(ends[1]);
}

}  // namespace portolan::os
