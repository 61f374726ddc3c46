// SPDX-License-Identifier: Apache-2.0

// One endpoint, and two who think that it is theirs: a closer and a mover, two adopters, an adopter and a
// kernel that refuses.
#include <array>
#include <cerrno>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <thread>

#include "crash/system_calls.hpp"
#include "crash/ward.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Closes `port` on another thread while the packet with its descriptors is being sent, which fails with
// `error`.
void close_in_transit(MessagePort& port, int error) {
  system_calls().before_send = [&port, error] {
    system_calls() = {};
    std::thread([&port] { port.close(); }).join();
    return error;
  };
}

// What send_port() has put on the socket at the other end, sent on twice.
void send_twice(int from, int to) {
  std::array<std::byte, 112> record;
  iovec part{record.data(), record.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(2 * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  REQUIRE(::recvmsg(from, &message, MSG_CMSG_CLOEXEC) == static_cast<ssize_t>(record.size()));
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  REQUIRE(header != nullptr);
  std::array<FileDescriptor, 2> descriptors;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header) + i * sizeof number, sizeof number);
    descriptors[i].reset(number);
  }
  for (int copy = 0; copy < 2; ++copy)
    REQUIRE(::sendmsg(to, &message, 0) == static_cast<ssize_t>(record.size()));
}

std::array<FileDescriptor, 2> socket_pair() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

}  // namespace

TEST_CASE("a port that another thread closes while it is being sent arrives, and is not closed") {
  const PortCensus census;
  for (const bool used : {false, true}) {
    CAPTURE(used);
    MessageChannel data, carrier;
    carrier.port1.post_message("adopted");
    if (used) data.port1.post_message("before");
    close_in_transit(data.port1, 0);
    carrier.port1.post_message("it", {.transfer = {data.port1}});
    CHECK(carrier.port2.receive()->text() == "adopted");
    Received received = carrier.port2.receive();
    MessagePort arrived = std::move(received->ports()[0]);
    arrived.post_message("after");
    if (used) CHECK(data.port2.receive()->text() == "before");
    CHECK(data.port2.receive()->text() == "after");
    CHECK(data.port2.try_receive().status() == ReceiveStatus::empty);
  }
}

TEST_CASE("a port that another thread closes while it is being sent is closed if it could not be sent") {
  const PortCensus census;
  for (const bool used : {false, true}) {
    CAPTURE(used);
    MessageChannel data, carrier;
    carrier.port1.post_message("adopted");
    if (used) data.port1.post_message("before");
    close_in_transit(data.port1, ENOBUFS);
    CHECK_THROWS_AS(carrier.port1.post_message("it", {.transfer = {data.port1}}), PortError);
    CHECK_FALSE(data.port1.is_open());
    if (used) CHECK(data.port2.receive()->text() == "before");
    CHECK(data.port2.receive().status() == ReceiveStatus::closed);
    CHECK(close_reasons(data.port2) == std::vector{CloseReason::closed});
  }
}

TEST_CASE("of two adopters of one endpoint the loser takes nothing from the winner") {
  const PortCensus census;
  for (const bool loser_tries : {false, true}) {
    CAPTURE(loser_tries);
    MessageChannel data;
    auto [out, in] = socket_pair();
    auto [again_out, again_in] = socket_pair();
    send_port(out.get(), std::move(data.port1));
    send_twice(in.get(), again_out.get());
    MessagePort winner = receive_port(again_in.get());
    {
      MessagePort loser = receive_port(again_in.get());
      winner.post_message("first");
      if (loser_tries) {
        CHECK(loser.try_post_message("second") == PostResult::closed);
        CHECK(loser.receive().status() == ReceiveStatus::closed);
      }
      loser.close();
    }
    data.port2.post_message("back");
    CHECK(winner.receive()->text() == "back");
    winner.post_message("still here");
    CHECK(data.port2.receive()->text() == "first");
    CHECK(data.port2.receive()->text() == "still here");
    CHECK(data.port2.try_receive().status() == ReceiveStatus::empty);
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a port that finds no address space at its adoption stays, and works once there is some") {
  const PortCensus census;
  MessageChannel data, carrier;
  const std::vector<std::byte> large(200'000, std::byte{1});
  for (int i = 0; i < 3; ++i) data.port1.post_message(large);
  CHECK(data.port2.receive()->bytes().size() == large.size());  // the cursor stands in the blocks
  data.port2.post_message(large);
  carrier.port1.post_message("it", {.transfer = {data.port2}});
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [&](Ports& ports) {
    MessagePort port = std::move(ports[0].receive()->ports()[0]);
    limit_address_space(32 << 20);  // half of what a direction takes
    for (int i = 0; i < 2; ++i) {
      bool refused = false;
      try {
        static_cast<void>(port.receive());
      } catch (const PortError& error) {
        refused = error.code() == std::errc::not_enough_memory;
      }
      PORTOLAN_CHILD_REQUIRE(refused);
    }
    PORTOLAN_CHILD_REQUIRE(port.is_open());
    lift_address_space_limit();
    for (int i = 0; i < 2; ++i) PORTOLAN_CHILD_REQUIRE(port.receive()->bytes().size() == large.size());
    port.post_message("all there");
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(data.port1.receive()->bytes().size() == large.size());
  CHECK(data.port1.receive()->text() == "all there");
}
#endif
