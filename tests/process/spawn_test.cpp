// SPDX-License-Identifier: Apache-2.0

// Programs that are given a port while threads of this process never rest: by vfork and exec, by posix_spawn,
// and as a Worker. None of these runs a handler of fork.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <map>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "process/busy_channels.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kGiven = 30;
constexpr std::uint64_t kFifth = 5;  // one message in five brings a port, with a message of its own

int times() {
  const char* const wished = std::getenv("PORTOLAN_CLONES");
  return wished != nullptr ? std::atoi(wished) / 30 : 5;
}

// A channel with unread messages, whose second port is for a program.
struct Given {
  Given() {
    for (std::uint64_t number = 0; number < kGiven; ++number) {
      if (number % kFifth != 0) {
        channel.port1.post_message(number);
        continue;
      }
      inner.emplace_back().port1.post_message(number);
      channel.port1.post_message(number, {.transfer = {inner.back().port2}});
    }
  }
  // What the program answers, and then its end.
  void check_answers() {
    for (std::uint64_t number = 0; number < kGiven; ++number) {
      Received received = channel.port1.receive_for(kPatience);
      REQUIRE(received);
      CHECK(received->data<std::uint64_t>() == number);
      if (number % kFifth != 0) continue;
      CHECK(inner[number / kFifth].port1.receive_for(kPatience)->data<std::uint64_t>() == number + 1);
    }
    CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  }

  MessageChannel channel;
  std::vector<MessageChannel> inner;
};

int answer_what_is_there(MessagePort& port) {
  for (std::uint64_t number = 0; number < kGiven; ++number) {
    Received received = port.receive_for(kPatience);
    PORTOLAN_CHILD_REQUIRE(received && received->data<std::uint64_t>() == number);
    if (number % kFifth == 0) {
      PORTOLAN_CHILD_REQUIRE(received->ports().size() == 1);
      MessagePort& moved = received->ports()[0];
      PORTOLAN_CHILD_REQUIRE(moved.receive_for(kPatience)->data<std::uint64_t>() == number);
      moved.post_message(number + 1);
    }
    port.post_message(number);
  }
  return 0;
}

// The test program anew, for a handle that it inherits.
struct Invocation {
  explicit Invocation(PortHandle& handle)
      : words{"/proc/self/exe",
              "--portolan-body",
              "answer_by_handle",
              std::to_string(handle.segment().get()),
              std::to_string(handle.socket().get()),
              std::to_string(handle.generation()),
              handle.second_side() ? "b" : "a"} {
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
  }

  std::vector<std::string> words;
  std::vector<char*> pointers;
};

pid_t start_by_vfork(PortHandle& handle) {
  Invocation invocation(handle);
  const std::array descriptors{handle.segment().get(), handle.socket().get()};
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  for (const int each : descriptors) ::fcntl(each, F_SETFD, 0);  // the child's alone
  ::execv(invocation.pointers[0], invocation.pointers.data());
  ::_exit(127);
}

pid_t start_by_spawn(PortHandle& handle) {
  Invocation invocation(handle);
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  for (const int each : {handle.segment().get(), handle.socket().get()})
    ::posix_spawn_file_actions_adddup2(&actions, each, each);
  pid_t pid = -1;
  CHECK(::posix_spawn(&pid, invocation.pointers[0], &actions, nullptr, invocation.pointers.data(), environ) ==
        0);
  ::posix_spawn_file_actions_destroy(&actions);
  return pid;
}

void give_to(pid_t (*start)(PortHandle& handle)) {
  Given given;
  PortHandle handle = std::move(given.channel.port2).release();
  const pid_t pid = start(handle);
  REQUIRE(pid > 0);
  handle = {};
  given.check_answers();
  int status = -1;
  CHECK(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
}

void give_to_worker() {
  Given given;
  WorkerOptions options;
  options.ports.emplace("work", std::move(given.channel.port2));
  Worker worker("/proc/self/exe", {"--portolan-body", "answer_by_name"}, std::move(options));
  given.check_answers();
  CHECK(worker.wait() == ExitStatus{.exited = true});
}

}  // namespace

PORTOLAN_BODY(answer_by_handle) {
  PORTOLAN_CHILD_REQUIRE(arguments.size() == 4);
  FileDescriptor segment(std::atoi(arguments[0])), socket(std::atoi(arguments[1]));
  MessagePort port =
      MessagePort::adopt(PortHandle(std::move(segment), std::move(socket),
                                    std::strtoull(arguments[2], nullptr, 10), arguments[3][0] == 'b'));
  return answer_what_is_there(port);
}

PORTOLAN_BODY(answer_by_name) {
  std::map<std::string, MessagePort> ports = inherited_ports();
  PORTOLAN_CHILD_REQUIRE(ports.size() == 1 && ports.contains("work"));
  return answer_what_is_there(ports.at("work"));
}

TEST_CASE(
    "ports go whole to programs that are started by vfork, by posix_spawn and as a Worker beside busy "
    "threads") {
  const ManyDescriptors many;
  const PortCensus census;
  BusyChannels busy;
  for (int i = 0; i < times() && busy.fault() == nullptr; ++i) {
    const std::uint64_t answered = busy.answered();
    give_to(start_by_vfork);
    give_to(start_by_spawn);
    give_to_worker();
    REQUIRE(wait_until([&] { return busy.answered() > answered || busy.fault() != nullptr; }));
  }
  busy.come_to_rest();
  CHECK(std::string(busy.fault() != nullptr ? busy.fault() : "") == "");
  CHECK(busy.close_and_see_peers_end());
}
