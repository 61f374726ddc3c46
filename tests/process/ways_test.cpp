// SPDX-License-Identifier: Apache-2.0

// Every way to hand a port to another process, with a message unread in it: in a transfer list, inside a
// value, over a Unix socket of the user's own, as two descriptors, to a Worker, to a forked child.
#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Errand {
  std::string what;
  MessagePort answer;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& what& answer;
  }
};

std::array<FileDescriptor, 2> socket_pair(int type) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

void send_bytes(const FileDescriptor& socket, std::string_view bytes) {
  REQUIRE(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

// What the new owner does with a port that was handed on with one message unread; the peer does the rest.
int answer_on(MessagePort port) {
  PORTOLAN_CHILD_REQUIRE(port.receive()->text() == "unread when it left");
  port.post_message("it arrived");
  PORTOLAN_CHILD_REQUIRE(port.receive()->text() == "and it works");
  return 0;
}

void check_arrival(MessagePort& peer) {
  CHECK(peer.receive_for(kPatience)->text() == "it arrived");
  peer.post_message("and it works");
  CHECK(peer.receive_for(kPatience).status() == ReceiveStatus::closed);
}

MessageChannel channel_with_mail() {
  MessageChannel channel;
  channel.port1.post_message("unread when it left");
  return channel;
}

WorkerOptions with_port(std::string name, MessagePort port) {
  WorkerOptions options;
  options.ports.emplace(std::move(name), std::move(port));
  return options;
}

std::vector<std::string> body(std::string name) {
  return {"--portolan-body", std::move(name)};
}

}  // namespace

PORTOLAN_BODY(answer_on_port_named_errand) {
  std::map<std::string, MessagePort> ports = inherited_ports();
  PORTOLAN_CHILD_REQUIRE(ports.size() == 1);
  PORTOLAN_CHILD_REQUIRE(inherited_ports().empty());
  return answer_on(std::move(ports.at("errand")));
}

PORTOLAN_BODY(answer_on_parent_port) {
  return answer_on(parent_port());
}

TEST_CASE("a port is handed on in a message's transfer list") {
  const PortCensus census;
  MessageChannel carrier, data = channel_with_mail();
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    return answer_on(std::move(received->ports()[0]));
  });
  carrier.port1.post_message("here", {.transfer = {data.port2}});
  check_arrival(data.port1);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a port is handed on inside a value, posted as an rvalue or listed as well") {
  const PortCensus census;
  for (const bool as_rvalue : {true, false}) {
    MessageChannel carrier, data = channel_with_mail();
    ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
      Received received = ports[0].receive();
      PORTOLAN_CHILD_REQUIRE(received->is<Errand>());
      PORTOLAN_CHILD_REQUIRE(received->ports().size() == 1);
      Errand errand = received->data<Errand>();
      PORTOLAN_CHILD_REQUIRE(errand.what == "to be answered");
      PORTOLAN_CHILD_REQUIRE(!received->ports()[0].is_open());
      return answer_on(std::move(errand.answer));
    });
    Errand errand{"to be answered", std::move(data.port2)};
    if (as_rvalue)
      carrier.port1.post_message(std::move(errand));
    else
      carrier.port1.post_message(errand, {.transfer = {errand.answer}});
    CHECK_FALSE(errand.answer.is_open());
    check_arrival(data.port1);
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("a port is handed on over a Unix socket of any kind, and nothing behind it is taken") {
  const PortCensus census;
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM}) {
    CAPTURE(type);
    MessageChannel data = channel_with_mail();
    const auto sockets = socket_pair(type);
    ChildProcess child = ChildProcess::fork([&] {
      MessagePort port = receive_port(sockets[1].get());
      char behind[16] = {};
      PORTOLAN_CHILD_REQUIRE(::recv(sockets[1].get(), behind, sizeof behind, 0) == 6);
      PORTOLAN_CHILD_REQUIRE(std::string_view(behind) == "behind");
      return answer_on(std::move(port));
    });
    send_port(sockets[0].get(), std::move(data.port2));
    send_bytes(sockets[0], "behind");
    CHECK_FALSE(data.port2.is_open());
    check_arrival(data.port1);
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("an empty packet is no end of the socket, and no port") {
  const PortCensus census;
  for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
    CAPTURE(type);
    MessageChannel data;
    const auto sockets = socket_pair(type);
    for (int i = 0; i < 5; ++i) send_bytes(sockets[0], "");
    send_port(sockets[0].get(), std::move(data.port2));
    MessagePort arrived = receive_port(sockets[1].get());
    arrived.post_message("it arrived");
    CHECK(data.port1.receive()->text() == "it arrived");
  }
}

TEST_CASE(
    "a port that was sent before its socket was shut down or closed still arrives, then comes the end") {
  const PortCensus census;
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM})
    for (const bool close_it : {false, true}) {
      CAPTURE(type);
      CAPTURE(close_it);
      MessageChannel data = channel_with_mail();
      auto sockets = socket_pair(type);
      send_port(sockets[0].get(), std::move(data.port2));
      if (close_it)
        sockets[0].reset();
      else
        REQUIRE(::shutdown(sockets[0].get(), SHUT_WR) == 0);
      MessagePort arrived = receive_port(sockets[1].get());
      CHECK(arrived.receive()->text() == "unread when it left");
      std::error_code error;
      CHECK_FALSE(receive_port(sockets[1].get(), error).is_open());
      CHECK(error == std::errc::connection_reset);
      CHECK_THROWS_AS(static_cast<void>(receive_port(sockets[1].get())), PortError);
    }
}

TEST_CASE("a socket that is shut down while somebody waits for a port is an end") {
  const PortCensus census;
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    const auto sockets = socket_pair(type);
    ChildProcess child = ChildProcess::fork([&] {
      try {
        static_cast<void>(receive_port(sockets[1].get()));
        return 1;
      } catch (const PortError& end) {
        return end.code() == std::errc::connection_reset ? 0 : 2;
      }
    });
    if (type == SOCK_SEQPACKET) send_bytes(sockets[0], "");
    REQUIRE(::shutdown(sockets[0].get(), SHUT_RDWR) == 0);
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("a port that cannot be sent over a socket stays its owner's, usable") {
  const PortCensus census;
  MessageChannel data = channel_with_mail();
  auto sockets = socket_pair(SOCK_SEQPACKET);
  sockets[1].reset();
  std::error_code error;
  send_port(sockets[0].get(), std::move(data.port2), error);
  CHECK(error);
  CHECK_THROWS_AS(send_port(sockets[0].get(), std::move(data.port2)), PortError);
  CHECK_THROWS_AS(send_port(0, std::move(data.port2)), PortError);
  CHECK_THROWS_AS(send_port(-1, std::move(data.port2)), PortError);
  CHECK(data.port2.receive()->text() == "unread when it left");
  MessagePort detached;
  const auto open = socket_pair(SOCK_SEQPACKET);
  CHECK_THROWS_AS(send_port(open[0].get(), std::move(detached)), DataCloneError);
}

TEST_CASE("what comes over a socket and is no port is refused, and the port behind it is received") {
  const PortCensus census;
  MessageChannel data;
  const auto sockets = socket_pair(SOCK_SEQPACKET);
  send_bytes(sockets[0], "no port");
  send_port(sockets[0].get(), std::move(data.port2));
  CHECK_THROWS_AS(static_cast<void>(receive_port(sockets[1].get())), DataCloneError);
  CHECK(receive_port(sockets[1].get()).is_open());
}

TEST_CASE("a port is handed on as two descriptors, and adopted once") {
  const PortCensus census;
  MessageChannel data = channel_with_mail();
  PortHandle handle = std::move(data.port2).release();
  REQUIRE(handle);
  CHECK_FALSE(data.port2.is_open());
  PortHandle again(handle.segment().duplicate(), handle.socket().duplicate(), handle.generation(),
                   handle.second_side());
  ChildProcess child = ChildProcess::fork([&] { return answer_on(MessagePort::adopt(std::move(handle))); });
  handle = {};
  CHECK(data.port1.receive_for(kPatience)->text() == "it arrived");
  CHECK_THROWS_AS(static_cast<void>(MessagePort::adopt(std::move(again))), DataCloneError);
  data.port1.post_message("and it works");
  CHECK(data.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a port is handed to a worker by name") {
  const PortCensus census;
  MessageChannel data = channel_with_mail();
  Worker worker("/proc/self/exe", body("answer_on_port_named_errand"),
                with_port("errand", std::move(data.port2)));
  check_arrival(data.port1);
  CHECK(worker.wait() == ExitStatus{.exited = true});
}

TEST_CASE("a worker's own port is its parent's") {
  const PortCensus census;
  Worker worker("/proc/self/exe", body("answer_on_parent_port"));
  worker.post_message("unread when it left");
  check_arrival(worker.port());
  CHECK(worker.wait() == ExitStatus{.exited = true});
}

TEST_CASE("a port is handed to a forked child, which adopts it") {
  const PortCensus census;
  MessageChannel data = channel_with_mail();
  ChildProcess child =
      fork_with(ports_of(std::move(data.port2)), [](Ports& ports) { return answer_on(std::move(ports[0])); });
  check_arrival(data.port1);
  CHECK(child.wait() == ChildExit::exited(0));
}
