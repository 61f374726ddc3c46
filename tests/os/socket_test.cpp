// SPDX-License-Identifier: Apache-2.0

// Packets, descriptors in packets, and what passes for a channel's socket.
#include "os/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "support/child_process.hpp"
#include "support/resource_census.hpp"

using namespace portolan::os;
using portolan::FileDescriptor;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::ResourceCensus;
using Kind = ReceivedPacket::Kind;

namespace {

struct Pair {
  std::array<FileDescriptor, 2> ends = make_socket_pair();
  int near = ends[0].get();
  int far = ends[1].get();
};

constexpr std::array kHello{std::byte{'h'}, std::byte{'i'}};

struct Receipt {
  std::array<std::byte, 64> space{};
  std::vector<FileDescriptor> descriptors;
  ReceivedPacket packet;
};

Receipt receive(int socket, std::size_t max_descriptors = 0) {
  Receipt receipt;
  receipt.packet = receive_packet(socket, receipt.space, max_descriptors, receipt.descriptors);
  return receipt;
}

// Numbers of `count` duplicates-to-be of one eventfd.
struct Sent {
  FileDescriptor event{::eventfd(0, EFD_CLOEXEC)};
  std::vector<int> numbers;
  explicit Sent(std::size_t count) : numbers(count, event.get()) {}
};

FileDescriptor new_socket(int domain, int type) {
  return FileDescriptor(::socket(domain, type | SOCK_CLOEXEC, 0));
}

FileDescriptor listening_socket() {
  FileDescriptor socket = new_socket(AF_UNIX, SOCK_SEQPACKET);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // and no name: the kernel gives one
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family) == 0);
  REQUIRE(::listen(socket.get(), 1) == 0);
  return socket;
}

}  // namespace

TEST_CASE("a packet arrives whole, and an empty queue would block") {
  const ResourceCensus census;
  const Pair pair;
  CHECK(receive(pair.far).packet.kind == Kind::would_block);
  REQUIRE_FALSE(send_packet(pair.near, kHello, {}));
  REQUIRE_FALSE(send_doorbell(pair.near));
  CHECK(queued_bytes(pair.far) == 3);
  CHECK(unsent_bytes(pair.near) > 0);
  const Receipt first = receive(pair.far);
  CHECK(first.packet.kind == Kind::packet);
  CHECK(first.packet.size_bytes == 2);
  CHECK(std::equal(kHello.begin(), kHello.end(), first.space.begin()));
  CHECK(receive(pair.far).packet.size_bytes == 1);
  CHECK(queued_bytes(pair.far) == 0);
  CHECK(unsent_bytes(pair.near) == 0);
  CHECK(send_capacity(pair.near) >= 4096);
}

TEST_CASE("a full socket refuses a packet and takes it when there is room") {
  const Pair pair;
  std::size_t sent = 0;
  std::error_code error;
  while (!(error = send_doorbell(pair.near))) ++sent;
  CHECK(error == std::errc::resource_unavailable_try_again);
  CHECK(sent > 5);
  static_cast<void>(receive(pair.far));
  CHECK_FALSE(send_doorbell(pair.near));
}

TEST_CASE("up to 253 descriptors travel in a packet, and more are refused") {
  const ResourceCensus census;
  const Pair pair;
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, kMaxDescriptorsPerPacket}) {
    const Sent sent(count);
    REQUIRE_FALSE(send_packet(pair.near, kHello, sent.numbers));
    const Receipt receipt = receive(pair.far, count);
    CHECK(receipt.packet.kind == Kind::packet);
    CHECK_FALSE(receipt.packet.descriptors_truncated);
    REQUIRE(receipt.descriptors.size() == count);
    CHECK((::fcntl(receipt.descriptors.back().get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(send_packet(pair.near, kHello, Sent(kMaxDescriptorsPerPacket + 1).numbers) ==
        std::errc::invalid_argument);
  CHECK(queued_bytes(pair.far) == 0);
}

TEST_CASE("descriptors beyond those wanted are gone and are told") {
  const ResourceCensus census;
  const Pair pair;
  for (const std::size_t wanted : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
    REQUIRE_FALSE(send_packet(pair.near, kHello, Sent(4).numbers));
    const Receipt receipt = receive(pair.far, wanted);
    CHECK(receipt.packet.descriptors_truncated);
    CHECK(receipt.descriptors.size() == wanted);
  }
}

TEST_CASE("descriptors for which there is no room are told, and the others are owned") {
  ChildProcess child = ChildProcess::fork([] {
    const Pair pair;
    PORTOLAN_CHILD_REQUIRE(!send_packet(pair.near, kHello, Sent(8).numbers));
    const int next_free = ::dup(0);
    ::close(next_free);
    const rlimit limit{static_cast<rlim_t>(next_free) + 3, static_cast<rlim_t>(next_free) + 3};
    PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    const Receipt receipt = receive(pair.far, 8);
    PORTOLAN_CHILD_REQUIRE(receipt.packet.kind == Kind::packet);
    PORTOLAN_CHILD_REQUIRE(receipt.packet.descriptors_truncated);
    PORTOLAN_CHILD_REQUIRE(receipt.descriptors.size() == 3);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a packet longer than the space is told as cut") {
  const Pair pair;
  REQUIRE_FALSE(send_packet(pair.near, std::array<std::byte, 65>{}, {}));
  CHECK(receive(pair.far).packet.data_truncated);
}

TEST_CASE("credentials and a pidfd that another holder switches on leave no descriptor behind") {
  const ResourceCensus census;
  const Pair pair;
  constexpr int kPassPidfd = 76;  // SO_PASSPIDFD, Linux 6.5
  const int on = 1;
  const bool pidfds = ::setsockopt(pair.far, SOL_SOCKET, kPassPidfd, &on, sizeof on) == 0;
  if (!pidfds) MESSAGE("skipped the pidfd: this kernel has no SO_PASSPIDFD");
  REQUIRE_FALSE(send_packet(pair.near, kHello, Sent(2).numbers));
  CHECK(receive(pair.far, kMaxDescriptorsPerPacket).descriptors.size() == 2);
  REQUIRE(::setsockopt(pair.far, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
  REQUIRE_FALSE(send_packet(pair.near, kHello, Sent(2).numbers));
  CHECK(receive(pair.far, 2).packet.kind == Kind::packet);
}

TEST_CASE("packets of a peer that closed are there behind its end and its reset") {
  Pair pair;
  REQUIRE_FALSE(send_packet(pair.near, kHello, {}));
  REQUIRE_FALSE(send_packet(pair.far, kHello, {}));
  CHECK_FALSE(hung_up(pair.near));
  pair.ends[1].reset();
  CHECK(hung_up(pair.near));
  CHECK(receive(pair.near).packet.kind == Kind::reset);
  CHECK(receive(pair.near).packet.kind == Kind::packet);
  CHECK(receive(pair.near).packet.kind == Kind::end);
  CHECK(receive(pair.near).packet.kind == Kind::end);
  CHECK(send_doorbell(pair.near) == std::errc::broken_pipe);
}

TEST_CASE("a shutdown is seen by the peer, through duplicates too, and loses no packet") {
  const Pair pair;
  const FileDescriptor duplicate = pair.ends[0].duplicate();
  REQUIRE_FALSE(send_packet(pair.near, kHello, {}));
  shutdown_both(duplicate.get());
  CHECK(hung_up(pair.far));
  CHECK(hung_up(pair.near));
  CHECK(receive(pair.far).packet.kind == Kind::packet);
  CHECK(receive(pair.far).packet.kind == Kind::end);
}

TEST_CASE("what is no socket is refused with its error") {
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC));
  const Receipt receipt = receive(event.get());
  CHECK(receipt.packet.kind == Kind::refused);
  CHECK(receipt.packet.error == std::errc::not_a_socket);
  CHECK(send_doorbell(event.get()) == std::errc::not_a_socket);
  CHECK(queued_bytes(-1) == 0);
  CHECK(unsent_bytes(-1) == 0);
  CHECK(send_capacity(event.get()) == 0);
  CHECK(socket_inode(-1) == 0);
  CHECK(hung_up(-1) == false);
}

TEST_CASE("a pair names its maker") {
  const Pair pair;
  Credentials found;
  REQUIRE_FALSE(peer_credentials(pair.near, found));
  CHECK(found.pid == ::getpid());
  CHECK(found.uid == ::getuid());
  CHECK(found.gid == ::getgid());
}

TEST_CASE("nothing but a connected end of our kind passes for a channel's socket") {
  const ResourceCensus census;
  Pair pair;
  const Pair carrier;
  const std::uint64_t carrier_inode = socket_inode(carrier.near);
  CHECK(inspect_socket(pair.near, carrier_inode) == SocketFault::none);
  CHECK(inspect_socket(pair.near, 0) == SocketFault::none);
  CHECK(inspect_socket(carrier.ends[0].duplicate().get(), carrier_inode) == SocketFault::is_its_carrier);
  CHECK(inspect_socket(carrier.far, carrier_inode) == SocketFault::none);

  int streams[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams) == 0);
  const FileDescriptor stream(streams[0]);
  const FileDescriptor other(streams[1]);
  CHECK(inspect_socket(stream.get(), 0) == SocketFault::wrong_kind);
  CHECK(inspect_socket(new_socket(AF_UNIX, SOCK_DGRAM).get(), 0) == SocketFault::wrong_kind);
  CHECK(inspect_socket(new_socket(AF_INET, SOCK_STREAM).get(), 0) == SocketFault::wrong_kind);
  CHECK(inspect_socket(listening_socket().get(), 0) == SocketFault::listening);
  CHECK(inspect_socket(new_socket(AF_UNIX, SOCK_SEQPACKET).get(), 0) == SocketFault::not_connected);
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC));
  CHECK(inspect_socket(event.get(), 0) == SocketFault::not_a_socket);
  CHECK(inspect_socket(-1, 0) == SocketFault::not_a_socket);
  CHECK(inspect_socket(FileDescriptor(::open("/", O_PATH | O_CLOEXEC)).get(), 0) ==
        SocketFault::not_a_socket);

  pair.ends[1].reset();
  CHECK(inspect_socket(pair.near, carrier_inode) == SocketFault::none);  // its queue may hold packets
}

TEST_CASE("a kick collects sockets that only hold each other") {
  const ResourceCensus census;
  Pair witness;
  {
    // The far end of the witness waits in a queue that only the queue itself holds.
    Pair cycle;
    const std::array parcel{cycle.far, witness.far};
    REQUIRE_FALSE(send_packet(cycle.near, kHello, parcel));
    witness.ends[1].reset();
  }
  CHECK(portolan::testing::wait_until([&] {
    kick_socket_collector();
    return hung_up(witness.near);
  }));
}

TEST_CASE("descriptors come out of a user's socket of any type, whatever else it was told to pass") {
  const ResourceCensus census;
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    CAPTURE(type);
    int numbers[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, numbers) == 0);
    const FileDescriptor near(numbers[0]);
    const FileDescriptor far(numbers[1]);
    CHECK(is_carrier(far.get()));
    const int on = 1;
    REQUIRE(::setsockopt(far.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    const Sent sent(2);
    REQUIRE_FALSE(send_packet(near.get(), kHello, sent.numbers));
    std::array<std::byte, 8> space{};
    std::vector<FileDescriptor> descriptors;
    const ReceivedPacket packet = receive_from_carrier(far.get(), space, descriptors);
    CHECK(packet.kind == Kind::packet);
    CHECK(packet.size_bytes == kHello.size());
    CHECK_FALSE(packet.descriptors_truncated);
    CHECK(descriptors.size() == 2);
    CHECK(receive_from_carrier(far.get(), space, descriptors).kind == Kind::would_block);
  }
  CHECK_FALSE(is_carrier(new_socket(AF_INET, SOCK_STREAM).get()));
  CHECK_FALSE(is_carrier(FileDescriptor(::eventfd(0, EFD_CLOEXEC)).get()));
  const FileDescriptor listening = new_socket(AF_UNIX, SOCK_STREAM);
  const sockaddr_un unnamed{.sun_family = AF_UNIX, .sun_path = {}};
  REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof unnamed.sun_family) ==
          0);
  REQUIRE(::listen(listening.get(), 1) == 0);
  CHECK_FALSE(is_carrier(listening.get()));
}

TEST_CASE("what is discarded is closed, though somebody else holds the socket") {
  // Empty ones only a hostile peer sends.
  for (const std::span<const std::byte> packet : {std::span<const std::byte>(kHello), {}}) {
    CAPTURE(packet.size());
    const ResourceCensus census;
    Pair pair;
    const FileDescriptor held = pair.ends[1].duplicate();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    const FileDescriptor reading(ends[0]);
    FileDescriptor writing(ends[1]);
    const std::array number{writing.get()};
    REQUIRE_FALSE(send_packet(pair.near, packet, number));
    writing.reset();
    char byte = 0;
    CHECK(::read(reading.get(), &byte, 1) < 0);
    shutdown_both(pair.far);
    discard_packets(pair.far);
    pair.ends[1].reset();
    CHECK(::read(reading.get(), &byte, 1) == 0);
  }
}

TEST_CASE("whoever waits for a socket returns when it can go on, and when it has ended") {
  const ResourceCensus census;
  Pair pair;
  ChildProcess sender = ChildProcess::fork([&] { return send_packet(pair.near, kHello, {}) ? 1 : 0; });
  wait_until_readable(pair.far);
  CHECK(receive(pair.far).packet.kind == Kind::packet);
  CHECK(sender.wait() == ChildExit::exited(0));
  while (!send_packet(pair.near, kHello, {})) {
  }
  ChildProcess reader = ChildProcess::fork([&] { return discard_packets(pair.far), 0; });
  wait_until_writable(pair.near);
  CHECK_FALSE(send_packet(pair.near, kHello, {}));
  CHECK(reader.wait() == ChildExit::exited(0));
  discard_packets(pair.far);
  pair.ends[0].reset();
  wait_until_readable(pair.far);
  CHECK(receive(pair.far).packet.kind == Kind::end);
}
