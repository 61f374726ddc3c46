// SPDX-License-Identifier: Apache-2.0

// Packets between their send and their frame's receipt, when one of the two ends dies or stands still there.
#include <csignal>
#include <doctest/doctest.h>
#include <filesystem>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>

#include "crash/system_calls.hpp"
#include "crash/ward.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

// Posts a message that carries one end of a new channel, of which the other end is returned.
MessagePort post_with_port(MessagePort& port, std::string_view text) {
  MessageChannel carried;
  port.post_message(text, {.transfer = {carried.port2}});
  return std::move(carried.port1);
}

bool talks(MessagePort& here, MessagePort& there) {
  here.post_message("hello");
  return there.receive().status() == ReceiveStatus::message;
}

// A reader that is killed while it takes the packet of the first of its messages with ports.
struct KilledReader {
  MessageChannel data;
  MessagePort first, second;
  MessagePort recovered;

  KilledReader(std::function<void()> SystemCalls::*where, int messages) {
    first = post_with_port(data.port1, "first");
    if (messages > 1) second = post_with_port(data.port1, "second");
    Ward ward(ports_of(std::move(data.port2)), [where](Ports& ports) {
      system_calls().*where = kill_me;
      static_cast<void>(ports[0].receive());
      return 0;
    });
    CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
    recovered = ward.recover(0);
  }
};

// How often a segment is read at while an end leaves that was not used, of a channel whose other end was.
int reads_as_one_leaves(bool peer_has_sent_ports) {
  MessageChannel channel, carrier;
  MessagePort carried;
  if (peer_has_sent_ports)
    carried = post_with_port(channel.port1, "with a port");
  else
    channel.port1.post_message("without");
  int reads = 0;
  system_calls().before_read = [&reads] { ++reads; };
  carrier.port1.post_message("leaves", {.transfer = {channel.port2}});
  system_calls() = {};
  return reads;
}

std::chrono::nanoseconds cpu_used() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE(
    "a message whose ports went with a killed reader comes marked, without them, and their peers know") {
  const PortCensus census;
  KilledReader killed(&SystemCalls::after_receive, 2);
  Received received = killed.recovered.receive();
  CHECK(received->text() == "first");
  CHECK(received->redelivered());
  REQUIRE(received->ports().size() == 1);
  CHECK_FALSE(received->ports()[0].is_open());
  CHECK(killed.first.receive().status() == ReceiveStatus::closed);
  received = killed.recovered.receive();
  CHECK(received->text() == "second");
  CHECK_FALSE(received->redelivered());
  CHECK(talks(killed.second, received->ports()[0]));
}

TEST_CASE(
    "a message whose descriptors the kernel cuts off comes without them, and everything else is whole") {
  const PortCensus census;
  MessageChannel data;
  MessagePort lost = post_with_port(data.port1, "cut off");
  MessagePort next = post_with_port(data.port1, "whole");
  rlimit whole{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &whole) == 0);
  // There was room when the library looked, and then there is room for one of two.
  system_calls().before_receive = [&whole] {
    const int next_free = ::dup(0);
    ::close(next_free);
    const rlimit low{static_cast<rlim_t>(next_free) + 1, whole.rlim_max};
    CHECK(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  };
  system_calls().after_receive = [&whole] { CHECK(::setrlimit(RLIMIT_NOFILE, &whole) == 0); };
  Received received = data.port2.receive();
  system_calls() = {};
  REQUIRE(received);
  CHECK(received->text() == "cut off");
  CHECK_FALSE(received->is<std::string>());
  for (const MessagePort& port : received->ports()) CHECK_FALSE(port.is_open());
  CHECK(lost.receive().status() == ReceiveStatus::closed);
  received = data.port2.receive();
  CHECK(received->text() == "whole");
  REQUIRE(received->ports().size() == 1);
  CHECK(talks(next, received->ports()[0]));
}

TEST_CASE("a packet that is found in front of its time moves on with the port") {
  const PortCensus census;
  KilledReader killed(&SystemCalls::after_receive, 2);
  CHECK(killed.recovered.receive()->redelivered());  // looks for its packet, and finds that of the second
  MessageChannel carrier;
  carrier.port1.post_message("it", {.transfer = {killed.recovered}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  Received received = arrived.receive();
  CHECK(received->text() == "second");
  CHECK(talks(killed.second, received->ports()[0]));
}

TEST_CASE("a packet that a killed reader had only asked for is not taken for doorbells by its adopter") {
  const PortCensus census;
  KilledReader killed(&SystemCalls::before_receive, 1);
  killed.recovered.on_close([](CloseEvent&) {});
  EventLoop::current().run_for(1ms);  // announces a sleep with an unread queue that is not enabled
  Received received = killed.recovered.receive();
  REQUIRE(received.status() == ReceiveStatus::message);
  CHECK(talks(killed.first, received->ports()[0]));
}

TEST_CASE("an adopted writer that could not post its mark at once does so with a later message") {
  const PortCensus census;
  MessageChannel data, carried;
  Ward ward(ports_of(std::move(data.port1), std::move(carried.port2)), [](Ports& ports) {
    system_calls().after_send = kill_me;
    ports[0].post_message("never committed", {.transfer = {ports[1]}});
    return 0;
  });
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  ward.custody(1) = {};
  system_calls().before_send = [] { return ENOBUFS; };
  MessagePort writer = ward.recover(0);
  system_calls() = {};
  CHECK(carried.port1.is_open());  // its peer lies in the socket
  writer.post_message("on we go");
  CHECK(data.port2.receive()->text() == "on we go");
  CHECK(data.port2.try_receive().status() == ReceiveStatus::empty);
  CHECK(carried.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a reader sleeps while a sender stands still between its packet and its frame") {
  const PortCensus census;
  MessageChannel data, carried;
  ChildProcess sender =
      fork_with(ports_of(std::move(data.port1), std::move(carried.port2)), [](Ports& ports) {
        system_calls().after_send = stop_me;
        ports[0].post_message("late", {.transfer = {ports[1]}});
        return 0;
      });
  siginfo_t stopped{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(sender.pid()), &stopped, WSTOPPED) == 0);
  std::string text;
  data.port2.on_close([](CloseEvent&) {});
  const auto began = std::chrono::steady_clock::now();
  const auto used_before = cpu_used();
  SUBCASE("in receive()") {
    CHECK(data.port2.receive_for(2s).status() == ReceiveStatus::timed_out);
  }
  SUBCASE("in a loop") {
    EventLoop::current().run_for(2s);
  }
  const auto used = cpu_used() - used_before;
  const auto passed = std::chrono::steady_clock::now() - began;
  CHECK(used * 100 < passed);
  sender.resume();
  Received received = data.port2.receive();
  CHECK(received->text() == "late");
  CHECK(talks(carried.port1, received->ports()[0]));
  CHECK(sender.wait() == ChildExit::exited(0));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE(
    "a large message that finds no address space stays, whole, and keeps no room in the descriptor table") {
  const PortCensus census;
  MessageChannel data, carrier, carried;
  const std::vector<std::byte> large(70 << 20, std::byte{1});
  data.port1.post_message(large, {.transfer = {carried.port2}});
  ChildProcess child = fork_with(
      ports_of(std::move(data.port2), std::move(carrier.port1), std::move(carried.port1)), [&](Ports& ports) {
        PORTOLAN_CHILD_REQUIRE(ports[0].is_open());
        limit_address_space(32 << 20);
        for (int i = 0; i < 2; ++i) {
          bool refused = false;
          try {
            static_cast<void>(ports[0].receive());
          } catch (const PortError& error) {
            refused = error.code() == std::errc::not_enough_memory;
          }
          PORTOLAN_CHILD_REQUIRE(refused);
        }
        bool stays = false;
        try {
          ports[1].post_message("it", {.transfer = {ports[0]}});
        } catch (const DataCloneError&) {
          stays = true;
        }
        PORTOLAN_CHILD_REQUIRE(stays);
        lift_address_space_limit();
        const std::size_t before = open_descriptors();
        {
          Received received = ports[0].receive();
          PORTOLAN_CHILD_REQUIRE(received->bytes().size() == large.size());
          PORTOLAN_CHILD_REQUIRE(talks(ports[2], received->ports()[0]));
        }
        PORTOLAN_CHILD_REQUIRE(open_descriptors() == before - 3);  // the body, and the port's two
        return 0;
      });
  CHECK(child.wait() == ChildExit::exited(0));
}
#endif

TEST_CASE("a new end that leaves has its segment read once if its peer has sent ports, and else not") {
  CHECK(reads_as_one_leaves(false) == 0);
  CHECK(reads_as_one_leaves(true) == 1);
}
