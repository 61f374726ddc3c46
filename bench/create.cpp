// SPDX-License-Identifier: Apache-2.0

// Short-lived channels: create one, move an end, first message of 64 B, reply of 1 B, close; beside the bare
// system calls with the same descriptors, and beside a bare socketpair.

#include <array>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
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

// The descriptors of one end: its socket, and the memory that both ends share; -1: none.
struct BareEnd {
  int socket = -1;
  int memory = -1;
};

constexpr std::size_t kPage = 4096;

void send_end(int carrier, BareEnd end) {
  std::array<int, 2> descriptors{end.socket, end.memory};
  const std::size_t bytes = (end.memory < 0 ? 1 : 2) * sizeof(int);
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(bytes);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(header), descriptors.data(), bytes);
  if (sendmsg(carrier, &message, 0) < 0) throw std::runtime_error("sendmsg failed");
}

// Its socket is -1 at the end.
BareEnd receive_end(int carrier, int flags) {
  char byte = 0;
  iovec part{&byte, 1};
  std::array<int, 2> descriptors{-1, -1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)];
  for (;;) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(carrier, &message, flags | MSG_CMSG_CLOEXEC);
    if (got < 0) continue;
    if (got == 0) return {};
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    std::memcpy(descriptors.data(), CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    return {descriptors[0], descriptors[1]};
  }
}

// A mapping of the memory, which must outlive what is done with the end.
class BareMemory {
 public:
  explicit BareMemory(int file)
      : page_(file < 0
                  ? nullptr
                  : static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0))) {
    if (page_ != nullptr) *page_ = 1;
  }
  BareMemory(const BareMemory&) = delete;
  BareMemory& operator=(const BareMemory&) = delete;
  ~BareMemory() {
    if (page_ != nullptr) munmap(page_, kPage);
  }

 private:
  char* page_;
};

void close_end(BareEnd end) {
  close(end.socket);
  if (end.memory >= 0) close(end.memory);
}

int make_memory() {
  const int file = memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0 || ftruncate(file, kPage) != 0 ||
      fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    throw std::runtime_error("memfd_create failed");
  return file;
}

void receive_byte(int socket, int flags) {
  char byte = 0;
  while (recv(socket, &byte, 1, flags) <= 0) pause();
}

struct Bare {
  bool memory;  // one page of it, mapped at both ends, as a channel has
  bool polling;
};

double bare_channels(int count, Bare bare) {
  const int flags = bare.polling ? MSG_DONTWAIT : 0;
  std::array<int, 2> carrier{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, carrier.data()) != 0)
    throw std::runtime_error("socketpair");
  const Partner partner([&] {
    close(carrier[0]);
    for (BareEnd taken; (taken = receive_end(carrier[1], flags)).socket >= 0; close_end(taken)) {
      const BareMemory memory(taken.memory);
      receive_byte(taken.socket, flags);
      if (send(taken.socket, "", 1, 0) < 0) return;
    }
  });
  close(carrier[1]);
  const std::int64_t began = now_ns();
  for (int i = 0; i < count; ++i) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw std::runtime_error("socketpair");
    const int file = bare.memory ? make_memory() : -1;
    {
      const BareMemory memory(file);
      const std::array<char, 64> first{};
      if (send(ends[0], first.data(), first.size(), 0) < 0) throw std::runtime_error("send");
      send_end(carrier[0], {ends[1], file});
      close(ends[1]);
      receive_byte(ends[0], flags);
    }
    close_end({ends[0], file});
  }
  const double rate = count * 1e9 / static_cast<double>(now_ns() - began);
  close(carrier[0]);
  return rate;
}

}  // namespace

void measure_create(Report& report) {
  constexpr int kChannels = 1500;
  report.section("Create a channel, move an end, first message, reply, close");
  report.row("Portolan, polling", "/s", [] { return portolan_channels(kChannels, true); });
  report.row("Portolan, blocking calls", "/s", [] { return portolan_channels(kChannels, false); });
  report.row("bare memfd, mappings and socketpair, polling", "/s",
             [] { return bare_channels(kChannels, {.memory = true, .polling = true}); });
  report.row("bare memfd, mappings and socketpair, blocking", "/s",
             [] { return bare_channels(kChannels, {.memory = true, .polling = false}); });
  report.row("bare socketpair, polling", "/s",
             [] { return bare_channels(kChannels, {.memory = false, .polling = true}); });
  report.row("bare socketpair, blocking", "/s",
             [] { return bare_channels(kChannels, {.memory = false, .polling = false}); });
}

}  // namespace bench
