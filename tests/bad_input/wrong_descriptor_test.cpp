// SPDX-License-Identifier: Apache-2.0

// Descriptors that are not what they should be, in place of a port's segment or socket: said by adopt(), and
// in a message the end of the channel that brought them. None of them blocks, and none stays open.
#include <array>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "bad_input/hostile_peer.hpp"
#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kLimitBytes = 64 << 10;
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct Wrong {
  std::string name;
  std::function<int()> make;
};

int memory_file(std::size_t bytes, int seals, unsigned flags = MFD_ALLOW_SEALING) {
  const int file = ::memfd_create("wrong", MFD_CLOEXEC | flags);
  if (file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) == 0 && seals != 0)
    ::fcntl(file, F_ADD_SEALS, seals);
  return file;
}

int read_only_copy(int file) {
  const FileDescriptor writable(file);
  return ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_CLOEXEC);
}

// One end; the other is closed at once.
int end_of(const std::function<int(int*)>& make) {
  int ends[2] = {-1, -1};
  make(ends);
  const FileDescriptor other(ends[1]);
  return ends[0];
}

std::size_t segment_bytes() {
  MessageChannel channel({.limit_bytes = kLimitBytes});
  PortHandle handle = std::move(channel.port1).release();
  return static_cast<std::size_t>(::lseek(handle.segment().get(), 0, SEEK_END));
}

std::vector<Wrong> wrong_anywhere() {
  return {
      {"a pipe", [] { return end_of([](int* ends) { return ::pipe2(ends, O_CLOEXEC); }); }},
      {"a device", [] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); }},
      {"a file on disk", [] { return ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC); }},
      {"a directory", [] { return ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }},
      {"a path alone", [] { return ::open("/dev/null", O_PATH | O_CLOEXEC); }},
      {"an eventfd", [] { return ::eventfd(0, EFD_CLOEXEC); }},
      {"an epoll", [] { return ::epoll_create1(EPOLL_CLOEXEC); }},
  };
}

std::vector<Wrong> wrong_segments() {
  const std::size_t bytes = segment_bytes();
  std::vector<Wrong> all = wrong_anywhere();
  all.push_back({"a socket", [] {
                   return end_of([](int* ends) {
                     return ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
                   });
                 }});
  all.push_back({"memory that cannot be sealed", [=] { return memory_file(bytes, 0, 0); }});
  all.push_back({"memory whose size is not sealed", [=] { return memory_file(bytes, 0); }});
  all.push_back({"memory that may still shrink", [=] { return memory_file(bytes, F_SEAL_GROW); }});
  all.push_back(
      {"memory sealed against writing", [=] { return memory_file(bytes, kSizeSeals | F_SEAL_WRITE); }});
  all.push_back(
      {"memory opened for reading", [=] { return read_only_copy(memory_file(bytes, kSizeSeals)); }});
  all.push_back({"memory of another size", [=] { return memory_file(bytes + 4096, kSizeSeals); }});
  all.push_back({"memory of no whole pages", [=] { return memory_file(bytes - 100, kSizeSeals); }});
  all.push_back({"no memory at all", [=] { return memory_file(0, kSizeSeals); }});
  return all;
}

std::vector<Wrong> wrong_sockets() {
  std::vector<Wrong> all = wrong_anywhere();
  all.push_back({"memory", [] { return memory_file(4096, kSizeSeals); }});
  for (const auto& [name, type] : {std::pair("a stream", SOCK_STREAM), std::pair("datagrams", SOCK_DGRAM)})
    all.push_back({name, [type = type] {
                     return end_of(
                         [=](int* ends) { return ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends); });
                   }});
  all.push_back(
      {"a socket of another family", [] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }});
  all.push_back(
      {"an unconnected socket", [] { return ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0); }});
  all.push_back({"a listening socket", [] {
                   const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
                   const sockaddr address{AF_UNIX, {}};  // the kernel chooses a name
                   ::bind(socket, &address, sizeof address.sa_family);
                   ::listen(socket, 1);
                   return socket;
                 }});
  return all;
}

// The two descriptors of a good port, and what must be said of it.
struct GoodPort {
  MessageChannel channel{{.limit_bytes = kLimitBytes}};
  std::string id = channel.port1.info().id;
  PortHandle handle = std::move(channel.port2).release();

  wire::Attachment description() {
    wire::Attachment about;
    about.kind = wire::AttachmentKind::port;
    about.side = handle.second_side() ? wire::Side::b : wire::Side::a;
    about.expected_generation = handle.generation();
    about.size_bytes = static_cast<std::uint64_t>(::lseek(handle.segment().get(), 0, SEEK_END));
    ::pread(handle.segment().get(), about.channel.data(), about.channel.size(), 0x10);
    return about;
  }
};

// Sends a port with these descriptors over a channel of its own.
void ends_the_channel_that_brings(GoodPort& good, int segment, int socket) {
  MessageChannel carrier;
  HostilePeer peer(std::move(carrier.port2));
  std::vector<CloseReason> reasons;
  carrier.port1.on_message([](MessageEvent&) { FAIL_CHECK("a wrong port was delivered"); });
  carrier.port1.on_close([&](CloseEvent& event) { reasons.push_back(event.reason()); });
  peer.announce(1);
  REQUIRE(peer.send_transfer(1, std::array{segment, socket}));
  peer.publish_table({{good.description()}}, 1);
  EventLoop::current().run();
  CHECK(reasons == std::vector{CloseReason::protocol_error});
}

// The same as one record on a socket of the user's own.
void is_refused_by_receive_port(GoodPort& good, int segment, int socket) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const FileDescriptor to(ends[0]), from(ends[1]);
  const wire::Attachment about = good.description();
  const auto packet =
      wire::encode({wire::PacketKind::transfer, 2, about.expected_generation, std::uint64_t{1}});
  std::vector<std::byte> record(packet.begin(), packet.end());
  record.resize(packet.size() + wire::attachments_bytes(1));
  wire::write_attachments(std::span(record).subspan(packet.size()), about.expected_generation, 1,
                          {&about, 1});
  REQUIRE(HostilePeer::send_over(to.get(), record, std::array{segment, socket}));
  check_names(said_by<DataCloneError>([&] { static_cast<void>(receive_port(from.get())); }),
              {"receive_port(on socket " + std::to_string(from.get()) + ")", "what came is no port"});
}

}  // namespace

TEST_CASE(
    "whatever is no segment is said by adopt() and receive_port(), and ends the channel that brings it in "
    "its place") {
  CHECK(wrong_segments().size() >= 12);
  for (const Wrong& wrong : wrong_segments()) {
    INFO(wrong.name);
    const PortCensus census;
    GoodPort good;
    const FileDescriptor descriptor(wrong.make());
    REQUIRE(descriptor);
    ends_the_channel_that_brings(good, descriptor.get(), good.handle.socket().get());
    is_refused_by_receive_port(good, descriptor.get(), good.handle.socket().get());
    PortHandle handle(descriptor.duplicate(), good.handle.socket().duplicate(), good.handle.generation(),
                      good.handle.second_side());
    check_names(said_by<DataCloneError>([&] { static_cast<void>(MessagePort::adopt(std::move(handle))); }),
                {"adopt: the handle is no port", "segment", "release()"});
    MessagePort port = MessagePort::adopt(std::move(good.handle));
    port.post_message("unharmed");
    CHECK(good.channel.port1.receive()->text() == "unharmed");
  }
}

TEST_CASE(
    "whatever is no channel's socket is said by adopt() and receive_port(), and ends the channel that brings "
    "it") {
  CHECK(wrong_sockets().size() >= 12);
  for (const Wrong& wrong : wrong_sockets()) {
    INFO(wrong.name);
    const PortCensus census;
    GoodPort good;
    const FileDescriptor descriptor(wrong.make());
    REQUIRE(descriptor);
    ends_the_channel_that_brings(good, good.handle.segment().get(), descriptor.get());
    is_refused_by_receive_port(good, good.handle.segment().get(), descriptor.get());
    PortHandle handle(good.handle.segment().duplicate(), descriptor.duplicate(), good.handle.generation(),
                      good.handle.second_side());
    check_names(said_by<DataCloneError>([&] { static_cast<void>(MessagePort::adopt(std::move(handle))); }),
                {"adopt: the handle is no port", "socket", "release()"});
    MessagePort port = MessagePort::adopt(std::move(good.handle));
    port.post_message("unharmed");
    CHECK(good.channel.port1.receive()->text() == "unharmed");
  }
}

TEST_CASE("a port whose socket is the one that it came over ends that channel") {
  const PortCensus census;
  GoodPort good;
  MessageChannel carrier;
  PortHandle victims = carrier.port1.custody_handle();
  HostilePeer peer(std::move(carrier.port2));
  peer.announce(1);
  REQUIRE(peer.send_transfer(1, std::array{good.handle.segment().get(), victims.socket().get()}));
  peer.publish_table({{good.description()}}, 1);
  CHECK(carrier.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a segment of another layout version is said by adopt(), with both versions") {
  const PortCensus census;
  GoodPort good;
  const std::uint32_t version = 7;
  REQUIRE(::pwrite(good.handle.segment().get(), &version, sizeof version, 0x08) == sizeof version);
  check_names(said_by<DataCloneError>([&] { static_cast<void>(MessagePort::adopt(std::move(good.handle))); }),
              {"layout version is 7", "this library has 5"});
}

TEST_CASE(
    "a port that proves to be none at its first use is closed with protocol_error, its carrier is not") {
  const PortCensus census;
  MessageChannel carrier, data;
  PortHandle handle = std::move(data.port2).release();
  const FileDescriptor segment = handle.segment().duplicate();
  data.port2 = MessagePort::adopt(std::move(handle));
  carrier.port1.post_message("a port", {.transfer = {data.port2}});
  Received received = carrier.port2.receive();
  MessagePort port = std::move(received->ports()[0]);
  SUBCASE("another layout version") {
    const std::uint32_t version = 7;
    REQUIRE(::pwrite(segment.get(), &version, sizeof version, 0x08) == sizeof version);
  }
  SUBCASE("another Trust than the message said") {
    const std::uint8_t foreign = 1;
    REQUIRE(::pwrite(segment.get(), &foreign, sizeof foreign, 0x0c) == sizeof foreign);
  }
  SUBCASE("another channel") {
    const std::uint64_t id = 0;
    REQUIRE(::pwrite(segment.get(), &id, sizeof id, 0x10) == sizeof id);
  }
  CHECK(port.try_post_message("nobody") == PostResult::closed);
  CHECK(port.receive().status() == ReceiveStatus::closed);
  std::vector<CloseReason> reasons;
  port.on_close([&](CloseEvent& event) { reasons.push_back(event.reason()); });
  port.start();
  EventLoop::current().poll();
  EventLoop::current().poll();
  CHECK(reasons == std::vector{CloseReason::protocol_error});
  carrier.port2.post_message("as ever");
  CHECK(carrier.port1.receive()->text() == "as ever");
}

TEST_CASE("of two adoptions of one endpoint the second is told, and the first goes on") {
  const PortCensus census;
  GoodPort good;
  PortHandle again(good.handle.segment().duplicate(), good.handle.socket().duplicate(),
                   good.handle.generation(), good.handle.second_side());
  MessagePort first = MessagePort::adopt(std::move(good.handle));
  check_names(said_by<DataCloneError>([&] { static_cast<void>(MessagePort::adopt(std::move(again))); }),
              {"adopt(channel " + good.id + ")", "somebody else has adopted this port", "use the one"});
  first.post_message("mine");
  CHECK(good.channel.port1.receive()->text() == "mine");
  good.channel.port1.post_message("yours");
  CHECK(first.receive()->text() == "yours");
}

TEST_CASE("a port of a channel without a limit moves, though its segment is larger than any message") {
  const PortCensus census;
  MessageChannel carrier, vast({.limit_bytes = ~std::size_t{0}});
  vast.port1.post_message("before");
  carrier.port1.post_message("vast", {.transfer = {vast.port2}});
  Received received = carrier.port2.receive();
  REQUIRE(received.status() == ReceiveStatus::message);
  CHECK(received->ports()[0].receive()->text() == "before");
}
