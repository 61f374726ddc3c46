// SPDX-License-Identifier: Apache-2.0

// Short-lived channels: create one, move an end, first message of 64 B, reply of 1 B, close; beside a bare
// socketpair that is created, sent, answered over, and closed.

#include <array>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

portolan::Received next(portolan::MessagePort& port, bool polling) {
  if (!polling) return port.receive();
  for (;;) {
    portolan::Received message = port.try_receive();
    if (message || message.status() == portolan::ReceiveStatus::closed) return message;
  }
}

double portolan_channels(int count, bool polling) {
  portolan::MessageChannel carrier;
  portolan::PortHandle handle = std::move(carrier.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    const std::array<std::byte, 1> reply{};
    while (portolan::Received message = next(port, polling)) {
      portolan::MessagePort taken = std::move(message->ports()[0]);
      if (next(taken, polling)) taken.post_message(reply);
    }
  });
  handle = {};
  const std::array<std::byte, 64> first{};
  const std::int64_t began = now_ns();
  for (int i = 0; i < count; ++i) {
    portolan::MessageChannel channel;
    channel.port1.post_message(first);
    carrier.port1.post_message("", {.transfer = {channel.port2}});
    if (!next(channel.port1, polling)) throw std::runtime_error("no reply");
  }
  const std::int64_t took = now_ns() - began;
  carrier.port1.close();
  return count * 1e9 / static_cast<double>(took);
}

void send_descriptor(int socket, int descriptor) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof descriptor);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  if (sendmsg(socket, &message, 0) < 0) throw std::runtime_error("sendmsg failed");
}

int receive_descriptor(int socket, int flags) {
  char byte = 0;
  iovec part{&byte, 1};
  int descriptor = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)];
  for (;;) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (got < 0) continue;
    if (got == 0) return -1;
    std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
  }
}

void receive_byte(int socket, int flags) {
  char byte = 0;
  while (recv(socket, &byte, 1, flags) <= 0) pause();
}

double bare_socketpairs(int count, bool polling) {
  const int flags = polling ? MSG_DONTWAIT : 0;
  std::array<int, 2> carrier{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, carrier.data()) != 0)
    throw std::runtime_error("socketpair");
  double rate = 0;
  {
    const Partner partner([&] {
      close(carrier[0]);
      for (int taken = 0; (taken = receive_descriptor(carrier[1], flags)) >= 0; close(taken)) {
        receive_byte(taken, flags);
        if (send(taken, "", 1, 0) < 0) return;
      }
    });
    close(carrier[1]);
    const std::int64_t began = now_ns();
    for (int i = 0; i < count; ++i) {
      std::array<int, 2> ends{};
      if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::runtime_error("socketpair");
      const std::array<char, 64> first{};
      if (send(ends[0], first.data(), first.size(), 0) < 0) throw std::runtime_error("send");
      send_descriptor(carrier[0], ends[1]);
      close(ends[1]);
      receive_byte(ends[0], flags);
      close(ends[0]);
    }
    rate = count * 1e9 / static_cast<double>(now_ns() - began);
    close(carrier[0]);
  }
  return rate;
}

}  // namespace

void measure_create(Report& report) {
  constexpr int kChannels = 5000;
  report.section("Create a channel, move an end, first message, reply, close");
  report.row("Portolan, polling", "/s", [] { return portolan_channels(kChannels, true); });
  report.row("Portolan, blocking calls", "/s", [] { return portolan_channels(kChannels, false); });
  report.row("bare socketpair, polling (no memory, no ring)", "/s",
             [] { return bare_socketpairs(kChannels, true); });
  report.row("bare socketpair, blocking", "/s", [] { return bare_socketpairs(kChannels, false); });
}

}  // namespace bench
