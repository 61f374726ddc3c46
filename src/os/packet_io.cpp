// SPDX-License-Identifier: Apache-2.0

// Packets with descriptors. Control buffers are CMSG_LEN(k) long and not CMSG_SPACE(k), whose padding has
// room for one descriptor more than wanted (CVE-2014-3635).
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include "os/refusal.hpp"
#include "os/socket.hpp"

namespace portolan::os {
namespace {

constexpr int kScmPidfd = 0x04;  // SCM_PIDFD, Linux 6.5

struct ControlSpace {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxDescriptorsPerPacket * sizeof(int))> bytes;
};

ReceivedPacket classify(ssize_t result, int flags) noexcept {
  using Kind = ReceivedPacket::Kind;
  ReceivedPacket received;
  if (result < 0) {
    received.error = last_error();
    received.kind = errno == EAGAIN ? Kind::would_block : errno == ECONNRESET ? Kind::reset : Kind::refused;
    return received;
  }
  received.kind = result == 0 ? Kind::end : Kind::packet;
  received.size_bytes = static_cast<std::size_t>(result);
  received.data_truncated = (flags & MSG_TRUNC) != 0;
  received.descriptors_truncated = (flags & MSG_CTRUNC) != 0;
  return received;
}

void own_descriptors(msghdr& message, std::vector<FileDescriptor>& descriptors) noexcept {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    // A pidfd comes if another holder of this socket has switched SO_PASSPIDFD on; owned only to be closed.
    const bool unwanted = part->cmsg_type == kScmPidfd;
    if (!unwanted && part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      FileDescriptor owned(number);
      if (!unwanted) descriptors.push_back(std::move(owned));
    }
  }
}

// The descriptors have room for all that the control space can bring.
ReceivedPacket receive(int socket, std::span<std::byte> space, std::span<std::byte> control, int flags,
                       std::vector<FileDescriptor>& descriptors) noexcept {
  iovec part{space.data(), space.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!control.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  ssize_t result = -1;
  do {
    result = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
  } while (result < 0 && errno == EINTR);
  const ReceivedPacket received = classify(result, message.msg_flags);
  if (result >= 0) own_descriptors(message, descriptors);
  return received;
}

// Also returns when the socket has ended or failed, which the next call on it tells.
void wait_for(int socket, short events) noexcept {
  pollfd asked{socket, events, 0};
  while (::poll(&asked, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::error_code send_packet(int socket, std::span<const std::byte> packet,
                            std::span<const int> descriptors) noexcept {
  if (descriptors.size() > kMaxDescriptorsPerPacket) return std::make_error_code(std::errc::invalid_argument);
  ControlSpace control;
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_LEN(descriptors.size_bytes());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = message.msg_controllen;
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return last_error();
  }
}

std::error_code send_doorbell(int socket) noexcept {
  constexpr std::array kRing{std::byte{1}};
  return send_packet(socket, kRing, {});
}

ReceivedPacket receive_packet(int socket, std::span<std::byte> space, std::size_t max_descriptors,
                              std::vector<FileDescriptor>& descriptors) {
  max_descriptors = std::min(max_descriptors, kMaxDescriptorsPerPacket);
  descriptors.reserve(descriptors.size() + max_descriptors);  // so that owning them cannot throw
  ControlSpace control;
  return receive(socket, space,
                 {control.bytes.data(), max_descriptors > 0 ? CMSG_LEN(max_descriptors * sizeof(int)) : 0}, 0,
                 descriptors);
}

// Without control space the kernel installs nothing.
ReceivedPacket peek_packet(int socket, std::span<std::byte> space) noexcept {
  std::vector<FileDescriptor> none;
  return receive(socket, space, {}, MSG_PEEK, none);
}

ReceivedPacket receive_from_carrier(int socket, std::span<std::byte> space,
                                    std::vector<FileDescriptor>& descriptors) {
  // Whatever the user's options put in front, two descriptors fit behind it.
  ControlSpace control;
  descriptors.reserve(descriptors.size() + control.bytes.size() / sizeof(int));
  return receive(socket, space, control.bytes, 0, descriptors);
}

void wait_until_readable(int socket) noexcept {
  wait_for(socket, POLLIN);
}

void wait_until_writable(int socket) noexcept {
  wait_for(socket, POLLOUT);
}

void discard_packets(int socket) noexcept {
  std::byte space[1];
  iovec part{space, sizeof space};
  // The kernel may say the end once before the last packet, and tells a reset before what is still queued.
  for (int ends = 0; ends < 2;) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t result = ::recvmsg(socket, &message, MSG_DONTWAIT);
    if (result < 0 && errno != EINTR && errno != ECONNRESET) return;
    if (result == 0) ++ends;
  }
}

}  // namespace portolan::os
