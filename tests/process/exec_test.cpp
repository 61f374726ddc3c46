// SPDX-License-Identifier: Apache-2.0

// Ports that outlive the program that has them: through an exec of the same process, and into a worker's.
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kUnread = 1000;
constexpr std::uint64_t kEveryPort = 10;  // one message in ten brings a port, with a message of its own

void post_unread(MessagePort& port, std::vector<MessageChannel>& inner) {
  for (std::uint64_t i = 0; i < kUnread; ++i) {
    if (i % kEveryPort != 0) {
      port.post_message(i);
      continue;
    }
    inner.emplace_back().port1.post_message(i);
    port.post_message(i, {.transfer = {inner.back().port2}});
  }
}

int read_unread(MessagePort& port) {
  for (std::uint64_t i = 0; i < kUnread; ++i) {
    Received received = port.receive();
    PORTOLAN_CHILD_REQUIRE(received && received->data<std::uint64_t>() == i);
    if (i % kEveryPort != 0) continue;
    PORTOLAN_CHILD_REQUIRE(received->ports().size() == 1);
    PORTOLAN_CHILD_REQUIRE(received->ports()[0].receive()->data<std::uint64_t>() == i);
    received->ports()[0].post_message(i + 1);
  }
  port.post_message("all of them");
  return 0;
}

void check_answers(MessagePort& port, std::vector<MessageChannel>& inner) {
  CHECK(port.receive_for(kPatience)->text() == "all of them");
  std::uint64_t number = 0;
  for (MessageChannel& each : inner) {
    CHECK(each.port1.receive_for(kPatience)->data<std::uint64_t>() == number + 1);
    number += kEveryPort;
  }
}

// Becomes the test program anew, doing `body`. Returns only if that fails.
void become(const Bequest& bequest, const char* program, std::string body) {
  std::string variable = bequest.variable(), flag = "--portolan-body", name = program;
  char* const arguments[] = {name.data(), flag.data(), body.data(), nullptr};
  char* const environment[] = {variable.data(), nullptr};
  ::execve(program, arguments, environment);
}

std::map<std::string, MessagePort> named(std::string name, MessagePort port) {
  std::map<std::string, MessagePort> ports;
  ports.emplace(std::move(name), std::move(port));
  return ports;
}

// Of a port's kinds: a memory file, or a SEQPACKET socket. Whoever runs the tests may leave others open.
bool every_port_is_closed_on_exec() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int number = std::stoi(entry.path().filename());
    std::error_code gone;
    int type = 0;
    socklen_t size = sizeof type;
    const bool of_port =
        std::filesystem::read_symlink(entry.path(), gone).string().starts_with("/memfd:") ||
        (::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET);
    if (of_port && (::fcntl(number, F_GETFD) & FD_CLOEXEC) == 0) return false;
  }
  return true;
}

}  // namespace

PORTOLAN_BODY(read_unread_of_the_former_program) {
  std::map<std::string, MessagePort> ports = inherited_ports();
  PORTOLAN_CHILD_REQUIRE(ports.size() == 1 && ports.contains("work"));
  PORTOLAN_CHILD_REQUIRE(std::getenv("PORTOLAN_PORTS") == nullptr);
  PORTOLAN_CHILD_REQUIRE(every_port_is_closed_on_exec());
  return read_unread(ports.at("work"));
}

PORTOLAN_BODY(read_unread_of_the_parent) {
  MessagePort port = parent_port();
  PORTOLAN_CHILD_REQUIRE(std::getenv("PORTOLAN_PORTS") == nullptr);
  PORTOLAN_CHILD_REQUIRE(every_port_is_closed_on_exec());
  try {
    static_cast<void>(parent_port());
    return 1;
  } catch (const InvalidStateError&) {
  }
  PORTOLAN_CHILD_REQUIRE(inherited_ports().empty());
  return read_unread(port);
}

PORTOLAN_BODY(have_no_parent) {
  try {
    static_cast<void>(parent_port());
    return 1;
  } catch (const InvalidStateError&) {
  }
  return inherited_ports().empty() ? 0 : 1;
}

PORTOLAN_BODY(have_a_spoilt_inheritance) {
  for (int time = 0; time < 2; ++time) {
    try {
      static_cast<void>(time == 0 ? parent_port() : MessagePort());
      static_cast<void>(inherited_ports());
      return 1;
    } catch (const DataCloneError&) {
    }
  }
  return 0;
}

TEST_CASE("a process that executes another program keeps a port with a thousand unread messages") {
  const ManyDescriptors many;
  const PortCensus census;
  MessageChannel channel;
  std::vector<MessageChannel> inner;
  post_unread(channel.port1, inner);
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    const Bequest bequest(named("work", std::move(ports[0])));
    become(bequest, "/proc/self/exe", "read_unread_of_the_former_program");
    return 1;
  });
  check_answers(channel.port1, inner);
  CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "a process that has read half of its messages leaves the other half to the program that it becomes") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (std::uint64_t i = 0; i < kUnread; ++i)
      PORTOLAN_CHILD_REQUIRE(ports[0].receive()->data<std::uint64_t>() == kUnread + i);
    const Bequest bequest(named("work", std::move(ports[0])));
    become(bequest, "/proc/self/exe", "read_unread_of_the_former_program");
    return 1;
  });
  for (std::uint64_t i = 0; i < kUnread; ++i) channel.port1.post_message(kUnread + i);
  std::vector<MessageChannel> inner;
  post_unread(channel.port1, inner);
  check_answers(channel.port1, inner);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("an exec that fails gives the ports back, as they were") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("unread");
  {
    Bequest bequest(named("work", std::move(channel.port2)));
    become(bequest, "./no-such-program", "nothing");
    channel.port2 = std::move(bequest.revoke().at("work"));
  }
  CHECK(every_port_is_closed_on_exec());
  CHECK(channel.port2.receive()->text() == "unread");
  channel.port2.post_message("it works");
  CHECK(channel.port1.receive()->text() == "it works");
  { const Bequest dropped(named("work", std::move(channel.port2))); }
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a bequest that cannot be made leaves the ports where they are") {
  const PortCensus census;
  MessageChannel channel;
  std::map<std::string, MessagePort> ports = named("no name", std::move(channel.port2));
  CHECK_THROWS_AS(Bequest(std::move(ports)), PortError);
  REQUIRE(ports.contains("no name"));
  channel.port1.post_message("still here");
  CHECK(ports.at("no name").receive()->text() == "still here");
  std::map<std::string, MessagePort> detached = named("work", MessagePort());
  CHECK_THROWS_AS(Bequest(std::move(detached)), DataCloneError);
}

TEST_CASE("a worker finds a thousand unread messages at its parent's port") {
  const ManyDescriptors many;
  const PortCensus census;
  std::vector<MessageChannel> inner;
  Worker worker("/proc/self/exe", {"--portolan-body", "read_unread_of_the_parent"});
  post_unread(worker.port(), inner);
  check_answers(worker.port(), inner);
  CHECK(worker.wait() == ExitStatus{.exited = true});
}

TEST_CASE("a worker finds a thousand unread messages at a port that it was given") {
  const ManyDescriptors many;
  const PortCensus census;
  MessageChannel channel;
  std::vector<MessageChannel> inner;
  post_unread(channel.port1, inner);
  WorkerOptions options;
  options.ports = named("work", std::move(channel.port2));
  Worker worker("/proc/self/exe", {"--portolan-body", "read_unread_of_the_former_program"},
                std::move(options));
  CHECK(options.ports.empty());
  check_answers(channel.port1, inner);
  CHECK(worker.wait() == ExitStatus{.exited = true});
}

TEST_CASE("a program that nobody left a port has none") {
  const ResourceCensus census;
  CHECK(ChildProcess::execute("have_no_parent").wait() == ChildExit::exited(0));
}

TEST_CASE("a program whose inheritance was spoilt on the way is told so") {
  const ResourceCensus census;
  ChildProcess child = ChildProcess::fork([] {
    ::setenv("PORTOLAN_PORTS", "what is this?", 1);
    std::string flag = "--portolan-body", body = "have_a_spoilt_inheritance", name = "test";
    char* const arguments[] = {name.data(), flag.data(), body.data(), nullptr};
    ::execv("/proc/self/exe", arguments);
    return 1;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}
