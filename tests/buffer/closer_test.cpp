// SPDX-License-Identifier: Apache-2.0

// Descriptors of a foreign peer whose close waits as long as that peer likes: a TCP socket that lingers over
// bytes which nobody takes. Whoever owns them here must not wait with it.
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/port.hpp>
#include <portolan/wait_any.hpp>

#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

std::vector<pid_t> closers() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(entry.path() / "comm") >> name;
    if (name == "portolan-closer") found.push_back(std::stoi(entry.path().filename().string()));
  }
  return found;
}

bool a_close_waits() {
  const std::vector<pid_t> threads = closers();
  return threads.size() == 1 && sleeping_call(threads.front()) == SYS_close;
}

// Its close waits until the other end takes the bytes or is closed.
struct Lingering {
  FileDescriptor near, far;

  Lingering() {
    const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    far.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int small = 4096;
    if (::bind(listener.get(), any, size) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), any, &size) != 0 ||
        ::setsockopt(far.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) != 0)
      return;
    static_cast<void>(::connect(far.get(), any, size));
    near.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const linger for_long{1, 3600};
    ::setsockopt(near.get(), SOL_SOCKET, SO_LINGER, &for_long, sizeof for_long);
    const std::vector<char> bytes(1 << 20);
    while (::send(near.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
    // A lingering close of a socket that does not block does not wait either.
    ::fcntl(near.get(), F_SETFL, 0);
  }
};

std::array<FileDescriptor, 2> make_pipe() {
  int ends[2] = {-1, -1};
  static_cast<void>(::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

bool ended(const FileDescriptor& pipe) {
  char byte;
  return ::read(pipe.get(), &byte, 1) == 0;
}

// One that came over a channel of that trust.
FileDescriptor received(FileDescriptor& sent, Trust trust) {
  MessageChannel channel({.trust = trust});
  channel.port1.post_message("take this", {.transfer = {sent}});
  Received message = channel.port2.receive();
  return std::move(message->descriptors()[0]);
}

constexpr int kEach = 16;  // as many as a foreign peer's message may bring

void post_sixteens(MessagePort& port, int messages) {
  for (int posted = 0; posted < messages; ++posted) {
    std::vector<FileDescriptor> descriptors(kEach);
    for (FileDescriptor& each : descriptors) each = FileDescriptor(::dup(0));
    port.post_message("sixteen", {.transfer = {descriptors}});
  }
}

// Leaves a close waiting, in a process whose other end of it is `far`.
FileDescriptor leave_a_close_waiting() {
  Lingering lingering;
  PORTOLAN_CHILD_REQUIRE(lingering.near);
  received(lingering.near, Trust::foreign).reset();
  PORTOLAN_CHILD_REQUIRE(wait_until(a_close_waits));
  return std::move(lingering.far);
}

}  // namespace

TEST_CASE("a foreign peer's descriptors are closed by one thread, which the first of them starts") {
  ChildProcess child = ChildProcess::fork([] {
    auto [read_trusted, write_trusted] = make_pipe();
    received(write_trusted, Trust::same_user).reset();
    PORTOLAN_CHILD_REQUIRE(ended(read_trusted));  // at once, and where its owner is
    PORTOLAN_CHILD_REQUIRE(closers().empty());

    FileDescriptor far = leave_a_close_waiting();  // and this thread is here
    PORTOLAN_CHILD_REQUIRE(closers().size() == 1);
    PORTOLAN_CHILD_REQUIRE(::sched_getscheduler(closers().front()) == SCHED_IDLE);  // gives way to any other

    // Others wait behind it, and nobody else does: unread, read, moved about, duplicated.
    std::vector<FileDescriptor> reading;
    for (int i = 0; i < 4; ++i) {
      auto [from, to] = make_pipe();
      reading.push_back(std::move(from));
      FileDescriptor mine = received(to, Trust::foreign);
      FileDescriptor again = mine.duplicate();
      mine = FileDescriptor();
      FileDescriptor moved(std::move(again));
      if (i % 2 == 0) moved.reset();
    }
    PORTOLAN_CHILD_REQUIRE(closers().size() == 1);
    for (const FileDescriptor& each : reading) PORTOLAN_CHILD_REQUIRE(!ended(each));
    PORTOLAN_CHILD_REQUIRE(a_close_waits());

    // What is one's own again is closed as ever, and so is what was inspected: ports.
    auto [from, to] = make_pipe();
    ::close(received(to, Trust::foreign).release());
    PORTOLAN_CHILD_REQUIRE(ended(from));
    MessageChannel carrier({.trust = Trust::foreign}), port({.trust = Trust::foreign});
    carrier.port1.post_message("a port", {.transfer = {port.port2}});
    carrier.port2.receive()->ports()[0].close();
    PORTOLAN_CHILD_REQUIRE(port.port1.receive().status() == ReceiveStatus::closed);

    far.reset();
    for (const FileDescriptor& each : reading)
      PORTOLAN_CHILD_REQUIRE(wait_until([&] { return ended(each); }));
    PORTOLAN_CHILD_REQUIRE(closers().size() == 1);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a child that is forked while a close waits closes its own with a thread of its own") {
  ChildProcess child = ChildProcess::fork([] {
    const FileDescriptor far = leave_a_close_waiting();
    ChildProcess grandchild = ChildProcess::fork([] {
      PORTOLAN_CHILD_REQUIRE(closers().empty());
      auto [from, to] = make_pipe();
      received(to, Trust::foreign).reset();
      PORTOLAN_CHILD_REQUIRE(wait_until([&, &reading = from] { return ended(reading); }));
      PORTOLAN_CHILD_REQUIRE(closers().size() == 1);
      return 0;
    });
    PORTOLAN_CHILD_REQUIRE(grandchild.wait() == ChildExit::exited(0));
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "a foreign peer's descriptors wait in the socket while many of it are to be closed, though not for "
    "ever") {
  ChildProcess child = ChildProcess::fork([] {
    FileDescriptor far = leave_a_close_waiting();
    MessageChannel heavy({.trust = Trust::foreign}), light({.trust = Trust::foreign});
    constexpr int kMessages = 40, kMostBehind = 2 * 128;
    post_sixteens(heavy.port1, kMessages);
    int taken = 0;
    while (heavy.port2.try_receive()) ++taken;
    PORTOLAN_CHILD_REQUIRE(taken < kMostBehind / kEach + 2);
    PORTOLAN_CHILD_REQUIRE(heavy.port2.receive_for(std::chrono::nanoseconds(1)).status() ==
                           ReceiveStatus::timed_out);

    const std::array waiting{&heavy.port2};
    PORTOLAN_CHILD_REQUIRE(wait_any(waiting, std::chrono::nanoseconds(1)) == npos);

    // Who brings few does not wait for that one.
    FileDescriptor some(::dup(0));
    light.port1.post_message("one", {.transfer = {some}});
    PORTOLAN_CHILD_REQUIRE(light.port2.try_receive());

    // The close ends or not.
    PORTOLAN_CHILD_REQUIRE(heavy.port2.receive());
    PORTOLAN_CHILD_REQUIRE(a_close_waits());
    far.reset();
    for (++taken; taken < kMessages; ++taken) PORTOLAN_CHILD_REQUIRE(heavy.port2.receive());
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a foreign peer's descriptors that are to be closed are no more than an eighth of a low limit") {
  ChildProcess child = ChildProcess::fork([] {
    const FileDescriptor far = leave_a_close_waiting();
    MessageChannel heavy({.trust = Trust::foreign});
    constexpr int kMessages = 20, kLimit = 256;
    post_sixteens(heavy.port1, kMessages);
    const rlimit low{kLimit, kLimit};
    PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    int taken = 0;
    while (heavy.port2.try_receive()) ++taken;
    PORTOLAN_CHILD_REQUIRE(taken < 2 * kLimit / 8 / kEach + 2);  // twice as many, of who has brought few
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("wait_any sleeps while a message is left for later, and others are not left with it") {
  ChildProcess child = ChildProcess::fork([] {
    const FileDescriptor far = leave_a_close_waiting();
    MessageChannel heavy({.trust = Trust::foreign}), quiet;
    constexpr int kMessages = 40;
    post_sixteens(heavy.port1, kMessages);
    while (heavy.port2.try_receive()) {
    }
    const std::array ports{&heavy.port2, &quiet.port2};
    std::atomic<pid_t> waiting{0};
    int in_vain = 0;
    std::thread waiter([&] {
      waiting = ::gettid();
      while (wait_any(ports, kPatience) == 0) {
        if (!heavy.port2.try_receive()) ++in_vain;
      }
    });
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return waiting != 0 && sleeps_deeply(waiting); }));
    // An end behind what is left is none yet.
    heavy.port1.close();
    quiet.port1.post_message("beside it");
    waiter.join();
    PORTOLAN_CHILD_REQUIRE(quiet.port2.try_receive());
    PORTOLAN_CHILD_REQUIRE(in_vain <= kMessages);
    PORTOLAN_CHILD_REQUIRE(a_close_waits());
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "a loop that leaves a message for later, since many descriptors are to be closed, sleeps and gets it") {
  ChildProcess child = ChildProcess::fork([] {
    const FileDescriptor far = leave_a_close_waiting();
    MessageChannel heavy({.trust = Trust::foreign}), quiet;
    constexpr int kMessages = 20;
    post_sixteens(heavy.port1, kMessages);
    int taken = 0, answers = 0;
    heavy.port2.on_message([&](MessageEvent&) {
      if (++taken == kMessages) EventLoop::current().stop();
    });
    quiet.port2.on_message([&](MessageEvent&) { ++answers; });
    quiet.port1.post_message("beside it");
    // Until the last message is taken it has something to do, or sleeps over what it leaves.
    std::atomic<bool> ended{false}, slept{false};
    std::thread watching([&, looping = ::gettid()] {
      slept = wait_until([&] { return ended || sleeps_deeply(looping); }) && !ended;
    });
    EventLoop::current().run();
    ended = true;
    watching.join();
    PORTOLAN_CHILD_REQUIRE(slept);
    PORTOLAN_CHILD_REQUIRE(taken == kMessages);
    PORTOLAN_CHILD_REQUIRE(answers == 1);
    PORTOLAN_CHILD_REQUIRE(a_close_waits());
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

PORTOLAN_BODY(exit_while_a_close_waits) {
  static FileDescriptor far;
  far = leave_a_close_waiting();
  auto [from, to] = make_pipe();
  static FileDescriptor closed_by_a_static_object;
  closed_by_a_static_object = received(to, Trust::foreign);
  std::exit(0);
}

PORTOLAN_BODY(exit_while_the_closer_rests) {
  auto [from, to] = make_pipe();
  received(to, Trust::foreign).reset();
  PORTOLAN_CHILD_REQUIRE(wait_until([&, &reading = from] { return ended(reading); }));
  std::exit(0);
}

TEST_CASE("a program ends at once, whether its closer rests or is held by a close") {
  const ResourceCensus census;
  CHECK(ChildProcess::execute("exit_while_a_close_waits").wait() == ChildExit::exited(0));
  CHECK(ChildProcess::execute("exit_while_the_closer_rests").wait() == ChildExit::exited(0));
}
