// SPDX-License-Identifier: Apache-2.0

// The cost of moving a port to another process and using it there: a port goes to and fro, with nothing in it
// and with unread messages, beside the bare system calls that move two descriptors.

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

portolan::MessagePort take_port(portolan::MessagePort& carrier) {
  portolan::Received message = carrier.receive();
  if (!message) throw std::runtime_error("the carrier is closed");
  portolan::MessagePort port = std::move(message->ports()[0]);
  port.post_message("here");  // adopts it
  return port;
}

double portolan_move_ns(int unread, int moves) {
  portolan::MessageChannel carrier, moved;
  for (int i = 0; i < unread; ++i) moved.port1.post_message("unread");
  portolan::PortHandle handle = std::move(carrier.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    for (int i = 0; i < moves / 2; ++i) {
      portolan::MessagePort taken = take_port(port);
      port.post_message("back", {.transfer = {taken}});
    }
    static_cast<void>(port.receive());
  });
  handle = {};
  const std::int64_t began = now_ns();
  for (int i = 0; i < moves / 2; ++i) {
    carrier.port1.post_message("there", {.transfer = {moved.port2}});
    moved.port2 = take_port(carrier.port1);
  }
  const std::int64_t took = now_ns() - began;
  carrier.port1.close();
  return static_cast<double>(took) / moves;
}

// One sendmsg of two descriptors and one recvmsg each way.
void pass(int socket, std::array<int, 2>& descriptors, bool send) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (!send) {
    while (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) pause();
    std::memcpy(descriptors.data(), CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptors);
    return;
  }
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  if (sendmsg(socket, &message, 0) < 0) throw std::runtime_error("sendmsg failed");
  close(descriptors[0]);
  close(descriptors[1]);
}

double bare_move_ns(int moves) {
  std::array<int, 2> ends{}, moved{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, moved.data()) != 0)
    throw std::runtime_error("socketpair failed");
  double each_ns = 0;
  {
    const Partner partner([&] {
      close(moved[0]);
      close(moved[1]);
      std::array<int, 2> taken{};
      for (int i = 0; i < moves / 2; ++i) {
        pass(ends[1], taken, false);
        pass(ends[1], taken, true);
      }
    });
    const std::int64_t began = now_ns();
    for (int i = 0; i < moves / 2; ++i) {
      pass(ends[0], moved, true);
      pass(ends[0], moved, false);
    }
    each_ns = static_cast<double>(now_ns() - began) / moves;
  }
  for (const int descriptor : {ends[0], ends[1], moved[0], moved[1]}) close(descriptor);
  return each_ns;
}

}  // namespace

void measure_move(Report& report) {
  report.section("Moving a port to another process, and its first use there");
  report.row("Portolan, nothing unread", "ns", [] { return portolan_move_ns(0, 4000); });
  report.row("Portolan, 100,000 unread messages", "ns", [] { return portolan_move_ns(100'000, 4000); });
  report.row("bare sendmsg and recvmsg of two descriptors, polling", "ns", [] { return bare_move_ns(4000); });
}

}  // namespace bench
