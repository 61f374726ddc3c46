// SPDX-License-Identifier: Apache-2.0

// Under the filters that container runtimes and systemd put on by themselves, with both errors that they
// refuse by, programs do all that they do elsewhere. What they do without is a call that has another in its
// place; but for workers.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <optional>
#include <sched.h>
#include <seccomp.h>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "names/broker_process.hpp"
#include "names/meeting_place.hpp"
#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/body.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

const std::string kOutside = "org.example.outside", kInside = "org.example.inside";
constexpr std::uint64_t kMany = 2'000;
constexpr int kAsleep = 3;

using Calls = std::set<std::string>;

// By profile, from container_calls.txt.
std::map<std::string, Calls> profiles() {
  std::map<std::string, Calls> found;
  std::vector<std::string> of;
  std::ifstream file(PORTOLAN_CONTAINER_CALLS);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string word;
    if (line.starts_with("allowed by ")) {
      of.clear();
      for (words >> word >> word; words >> word;) of.push_back(word.substr(0, word.find(':')));
      continue;
    }
    while (words >> word)
      for (const std::string& profile : of) found[profile].insert(word);
  }
  return found;
}

// For this process, and whatever it starts.
bool put_on(const Calls& allowed, int error) {
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ERRNO(static_cast<unsigned>(error)));
  bool whole = filter != nullptr;
  for (const std::string& name : allowed) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    const scmp_arg_cmp no_namespaces = SCMP_A0(SCMP_CMP_MASKED_EQ, 0x7E020000U, 0);
    if (number == __NR_SCMP_ERROR) continue;
    const bool bounded = name == "clone" && !allowed.contains("unshare");
    whole = whole &&
            ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, bounded ? 1 : 0, &no_namespaces) == 0;
  }
  // glibc makes no thread where this is refused with anything else, which every runtime has learned.
  if (!allowed.contains("clone3"))
    static_cast<void>(::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
  whole = whole && ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  return whole;
}

// Sends each number back, and says something on each port that it is given.
int echo(Ports& ports) {
  while (Received received = ports[0].receive()) {
    for (MessagePort& port : received->ports()) port.post_message("moved here");
    ports[0].post_message(received->data<std::uint64_t>());
  }
  return 0;
}

void expect(MessagePort& port, std::uint64_t number) {
  Received received = port.receive_for(kPatience);
  PORTOLAN_CHILD_REQUIRE(received && received->data<std::uint64_t>() == number);
}

void talk_with_a_child() {
  MessageChannel channel, moving;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), echo);
  MessagePort& port = channel.port1;
  for (std::uint64_t i = 0; i < kMany; ++i)
    PORTOLAN_CHILD_REQUIRE(port.post_message_for(kPatience, i) == PostResult::posted);
  for (std::uint64_t i = 0; i < kMany; ++i) expect(port, i);
  for (std::uint64_t i = 0; i < kAsleep; ++i) {
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return sleeps_deeply(child.pid()); }));
    port.post_message(i);
    expect(port, i);
  }
  port.post_message(kMany, {.transfer = {moving.port2}});
  PORTOLAN_CHILD_REQUIRE(moving.port1.receive_for(kPatience)->text() == "moved here");
  expect(port, kMany);
  port.on_message<std::uint64_t>([&](std::uint64_t number) {
    if (number == kMany)
      port.close();
    else
      port.post_message(number + 1);
  });
  port.post_message(std::uint64_t{0});
  EventLoop::current().run();
  PORTOLAN_CHILD_REQUIRE(child.wait() == ChildExit::exited(0));
}

void talk_to_the_outside() {
  MessagePort port = connect(kOutside);
  port.post_message("from the inside");
  PORTOLAN_CHILD_REQUIRE(port.receive_for(kPatience)->text() == "from the outside");
}

void fork_beside_a_port() {
  MessageChannel channel;
  channel.port1.post_message("mine");
  ChildProcess child = ChildProcess::fork([&] { return channel.port2.is_open() ? 1 : 0; });
  PORTOLAN_CHILD_REQUIRE(child.wait() == ChildExit::exited(0));
  PORTOLAN_CHILD_REQUIRE(channel.port2.receive()->text() == "mine");
}

// Its peer is killed once this process sleeps.
void outlive_a_child(void (*wait)(MessagePort& port)) {
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    ports[0].post_message("there");
    for (;;) ::pause();
    return 1;
  });
  PORTOLAN_CHILD_REQUIRE(channel.port1.receive_for(kPatience)->text() == "there");
  std::thread killer([&child, me = ::getpid()] {
    PORTOLAN_CHILD_REQUIRE(wait_until([me] { return sleeping_call(me) >= 0; }));
    child.send(SIGKILL);
  });
  wait(channel.port1);
  killer.join();
}

void hear_of_deaths() {
  outlive_a_child([](MessagePort& port) {
    PORTOLAN_CHILD_REQUIRE(port.receive_for(kPatience).status() == ReceiveStatus::closed);
  });
  outlive_a_child([](MessagePort& port) {
    Reply reply = port.request("never answered");
    try {
      static_cast<void>(reply.get());
    } catch (const RequestError&) {
      return;
    }
    PORTOLAN_CHILD_REQUIRE(false);
  });
}

// A worker needs pidfd_open. Where that is refused there is no process left, and the exception says what to
// allow.
void start_a_worker(bool possible) {
  try {
    Worker worker("/proc/self/exe", {"--portolan-body", "answer_under_filter"});
    PORTOLAN_CHILD_REQUIRE(worker.port().receive_for(kPatience)->text() == "from the worker");
    PORTOLAN_CHILD_REQUIRE(possible);
  } catch (const PortError& refused) {
    std::fprintf(stderr, possible ? "%s\n" : "", refused.what());
    PORTOLAN_CHILD_REQUIRE(!possible);
    const std::string said = refused.what();
    PORTOLAN_CHILD_REQUIRE(said.find("allow pidfd_open in the container's seccomp profile") !=
                           std::string::npos);
  }
}

// What doctor says of a call that is not there differs, but it does not say that it is good.
void ask_the_doctor(const Calls& allowed) {
  std::FILE* const doctor = ::popen(PORTOLAN_COMMAND " doctor", "r");
  PORTOLAN_CHILD_REQUIRE(doctor != nullptr);
  std::map<std::string, std::string> verdicts;
  std::array<char, 512> line{};
  while (std::fgets(line.data(), line.size(), doctor) != nullptr) {
    std::istringstream words(line.data());
    std::string what, verdict;
    if (words >> what >> verdict) verdicts.emplace(what, verdict);
  }
  const int status = ::pclose(doctor);
  for (const char* const call : {"membarrier", "futex_waitv", "pidfd_open"})
    PORTOLAN_CHILD_REQUIRE((verdicts[call] == "good") == allowed.contains(call));
  PORTOLAN_CHILD_REQUIRE((status == 0) == allowed.contains("pidfd_open"));
}

void meet_through_a_daemon_in_here() {
  const MeetingPlace place;
  const std::string socket = place.path("inside.sock");
  ChildProcess daemon = ChildProcess::fork([&] {
    ::execl(PORTOLAND, "portoland", "--socket", socket.c_str(), nullptr);
    return 1;
  });
  ::setenv("PORTOLAN_SOCKET", socket.c_str(), 1);
  std::optional<Listener> listener;
  // Its socket is there before it listens.
  PORTOLAN_CHILD_REQUIRE(wait_until([&] {
    try {
      listener.emplace(kInside);
    } catch (const PortError&) {
    }
    return listener.has_value();
  }));
  {
    ChildProcess other = ChildProcess::fork([] {
      MessagePort port = connect(kInside);
      port.post_message("hello");
      return port.receive()->text() == "hello yourself" ? 0 : 1;
    });
    auto event = listener->accept_for(kPatience);
    PORTOLAN_CHILD_REQUIRE(event && event->port().receive_for(kPatience)->text() == "hello");
    event->port().post_message("hello yourself");
    PORTOLAN_CHILD_REQUIRE(other.wait() == ChildExit::exited(0));
  }
  listener.reset();
  daemon.send(SIGTERM);
  PORTOLAN_CHILD_REQUIRE(daemon.wait() == ChildExit::exited(0));
}

}  // namespace

PORTOLAN_BODY(answer_under_filter) {
  parent_port().post_message("from the worker");
  return 0;
}

PORTOLAN_BODY(live_under_filter) {
  const Calls allowed = profiles().at(arguments[0]);
  talk_to_the_outside();
  talk_with_a_child();
  fork_beside_a_port();
  hear_of_deaths();
  start_a_worker(allowed.contains("pidfd_open"));
  ask_the_doctor(allowed);
  meet_through_a_daemon_in_here();
  return 0;
}

TEST_CASE("under the filters of container runtimes ports are moved, slept on and found by name") {
  const std::map<std::string, Calls> all = profiles();
  REQUIRE(all.size() == 5);
  BrokerProcess broker;
  const PortCensus census;
  Listener listener(kOutside);
  for (const auto& [profile, allowed] : all)
    for (const int error : {EPERM, ENOSYS}) {
      CAPTURE(profile);
      CAPTURE(error);
      REQUIRE(allowed.size() > 250);
      // From the start of a program on: the library asks for some calls when it is loaded.
      ChildProcess child = ChildProcess::fork([&, profile = profile, allowed = allowed] {
        PORTOLAN_CHILD_REQUIRE(put_on(allowed, error));
        ::execl("/proc/self/exe", "test", "--portolan-body", "live_under_filter", profile.c_str(), nullptr);
        return 1;
      });
      std::optional<ConnectEvent> event;
      while (!(event = listener.accept_for(std::chrono::milliseconds(100))))
        if (const auto ended = child.wait(std::chrono::nanoseconds(0)))
          FAIL("it ended before it connected: " << *ended);
      CHECK(event->port().receive()->text() == "from the inside");
      event->port().post_message("from the outside");
      CHECK(child.wait() == ChildExit::exited(0));
    }
}
