// SPDX-License-Identifier: Apache-2.0

#include "peers/unix_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "peers/all.hpp"
#include "peers/byte_stream.hpp"

namespace bench {

namespace {

constexpr int kRoom = 4 << 20;

class UnixStream {
 public:
  static constexpr std::string_view kName = "Unix stream";
  static bool can(const Setup&) { return true; }

  struct Meeting {
    explicit Meeting(const Setup& setup) : pair(SOCK_STREAM, setup) {}
    SocketPair pair;
  };

  UnixStream(const Meeting& meeting, const Setup&, Side side) : socket_(meeting.pair.end(side)) {}
  void send(std::span<const std::byte> message) { write_all(socket_, message); }
  void receive(std::span<std::byte> out) { read_all(socket_, out); }

 private:
  int socket_;
};

class UnixSeqpacket {
 public:
  static constexpr std::string_view kName = "Unix seqpacket";
  static bool can(const Setup& setup) { return setup.bytes <= most_packet_bytes(); }

  struct Meeting {
    explicit Meeting(const Setup& setup) : pair(SOCK_SEQPACKET, setup) {}
    SocketPair pair;
  };

  UnixSeqpacket(const Meeting& meeting, const Setup&, Side side) : socket_(meeting.pair.end(side)) {}
  void send(std::span<const std::byte> message) { write_all(socket_, message); }
  void receive(std::span<std::byte> out) { read_all(socket_, out); }

 private:
  int socket_;
};

}  // namespace

SocketPair::SocketPair(int type, const Setup& setup) {
  const int flags = SOCK_CLOEXEC | (setup.waiting == Waiting::polling ? SOCK_NONBLOCK : 0);
  if (socketpair(AF_UNIX, type | flags, 0, ends_.data()) != 0) throw std::runtime_error("socketpair failed");
  for (const int end : ends_)
    if (setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &kRoom, sizeof kRoom) != 0)
      setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
}

SocketPair::~SocketPair() {
  for (const int end : ends_)
    if (end >= 0) close(end);
}

int SocketPair::release(Side side) {
  return std::exchange(ends_[side == Side::near ? 0 : 1], -1);
}

std::size_t most_packet_bytes() {
  constexpr std::size_t kOfTheKernel = 4096;
  const SocketPair pair(SOCK_SEQPACKET, {});
  int room = 0;
  socklen_t size = sizeof room;
  getsockopt(pair.end(Side::near), SOL_SOCKET, SO_SNDBUF, &room, &size);
  return static_cast<std::size_t>(room) / 2 - kOfTheKernel;
}

const Peer& unix_stream_peer() {
  static const PeerOf<UnixStream> peer;
  return peer;
}

const Peer& unix_seqpacket_peer() {
  static const PeerOf<UnixSeqpacket> peer;
  return peer;
}

}  // namespace bench
