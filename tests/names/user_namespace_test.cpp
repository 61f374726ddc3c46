// SPDX-License-Identifier: Apache-2.0

// Of every user whom a user namespace does not know the kernel tells the same number. Two of them are not one
// user for that, nor is one of them whoever has that number inside.
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <portolan/broker.hpp>
#include <portolan/custody.hpp>
#include <portolan/handover.hpp>
#include <portolan/port.hpp>

#include "names/meeting_place.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

const std::string kNamespaceName = "org.example.namespace";
constexpr uid_t kOneUser = 65531, kOtherUser = 65532, kOverflow = 65534;

// A user namespace of this process's own, without a map: it is nobody in there, and so is everybody else.
bool enter_unmapped(uid_t uid) {
  // Whoever has changed its user may not be looked at, and /proc/self would be root's.
  return ::setresgid(uid, uid, uid) == 0 && ::setresuid(uid, uid, uid) == 0 &&
         ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 && ::unshare(CLONE_NEWUSER) == 0 &&
         ::geteuid() == kOverflow;
}

bool can_enter(const MeetingPlace& place) {
  ChildProcess child = ChildProcess::fork([&] {
    return enter_unmapped(kOneUser) && ::access(place.path("").c_str(), R_OK | W_OK | X_OK) == 0 ? 0 : 1;
  });
  const bool possible = child.wait() == ChildExit::exited(0);
  if (!possible) MESSAGE("left out: this machine gives nobody a user namespace, or nobody reaches the place");
  return possible;
}

int meet_as_listener(const std::string& address) {
  ::umask(0);  // from the first moment on, or who comes early is refused
  Listener listener(address, {.permissions = 0666});
  auto event = listener.accept_for(kPatience);
  PORTOLAN_CHILD_REQUIRE(event && event->port().info().trust == Trust::foreign);
  PORTOLAN_CHILD_REQUIRE(event->port().receive_for(kPatience)->text() == "from another user");
  event->port().post_message("to another user");
  PORTOLAN_CHILD_REQUIRE(event->port().receive_for(kPatience).status() == ReceiveStatus::closed);
  return 0;
}

int meet_as_caller(const std::string& address) {
  MessagePort port = connect(address, kPatience);
  PORTOLAN_CHILD_REQUIRE(port.info().trust == Trust::foreign);
  port.post_message("from another user");
  return port.receive_for(kPatience)->text() == "to another user" ? 0 : 1;
}

bool hide_proc() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
}

bool broker_answers() {
  try {
    static_cast<void>(reclaim("nothing", std::chrono::seconds(0)));
    return true;
  } catch (const PortError& error) {
    return std::string(error.what()).find("the policy does not let") != std::string::npos;
  }
}

}  // namespace

TEST_CASE("two users whom their user namespaces do not know meet as strangers at a path") {
  const MeetingPlace place;
  if (!can_enter(place)) return;
  for (const bool proc : {true, false}) {
    CAPTURE(proc);
    const std::string address = place.address(proc ? "with" : "without");
    ChildProcess listening = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE((proc || hide_proc()) && enter_unmapped(kOneUser));
      return meet_as_listener(address);
    });
    ChildProcess connecting = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE((proc || hide_proc()) && enter_unmapped(kOtherUser));
      return meet_as_caller(address);
    });
    CHECK(connecting.wait() == ChildExit::exited(0));
    CHECK(listening.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("a port of one user is not sent to another one whom the namespace does not know") {
  const MeetingPlace place;
  if (!can_enter(place)) return;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  const FileDescriptor here(pair[0]), there(pair[1]);  // the pair is root's
  for (const Trust trust : {Trust::same_user, Trust::foreign}) {
    CAPTURE(trust);
    ChildProcess child = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(enter_unmapped(kOneUser));
      MessageChannel channel({.trust = trust});
      try {
        send_port(there.get(), std::move(channel.port1));
      } catch (const DataCloneError&) {
        return trust == Trust::same_user && channel.port1.is_open() ? 0 : 1;
      }
      return trust == Trust::foreign ? 0 : 1;
    });
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("a broker whose namespace does not know two users takes neither for the other, nor for its own") {
  const MeetingPlace place;
  if (!can_enter(place)) return;
  const std::string socket = place.path("portolan.sock"), policy = place.path("policy");
  {
    const FileDescriptor file(::open(policy.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    const std::string rules = "deny own * org.example.mine\nallow own * org.example.*\nallow connect * *\n";
    REQUIRE(::write(file.get(), rules.data(), rules.size()) == static_cast<ssize_t>(rules.size()));
  }
  ::setenv("PORTOLAN_SOCKET", socket.c_str(), 1);
  for (const bool with_policy : {false, true}) {
    CAPTURE(with_policy);
    ChildProcess daemon = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(enter_unmapped(kOverflow - 1));
      Broker broker({.socket = socket, .permissions = 0666, .policy_file = with_policy ? policy : ""});
      broker.run({});
      return 0;
    });
    REQUIRE(wait_until(broker_answers));
    ChildProcess listening = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(::setresuid(kOneUser, kOneUser, kOneUser) == 0);
      if (with_policy) return meet_as_listener(kNamespaceName);
      try {
        const Listener listener(kNamespaceName);
      } catch (const PortError& error) {
        return std::string(error.what()).find("the policy does not let") != std::string::npos ? 0 : 2;
      }
      return 1;
    });
    if (with_policy) {
      ChildProcess connecting = ChildProcess::fork([&] {
        PORTOLAN_CHILD_REQUIRE(::setresuid(kOtherUser, kOtherUser, kOtherUser) == 0);
        return meet_as_caller(kNamespaceName);
      });
      CHECK(connecting.wait() == ChildExit::exited(0));
    }
    CHECK(listening.wait() == ChildExit::exited(0));
    daemon.kill_and_reap();
    ::unlink(socket.c_str());
  }
  ::unsetenv("PORTOLAN_SOCKET");
}

TEST_CASE("what a user whom the broker's namespace does not know keeps is not another one's to reclaim") {
  const MeetingPlace place;
  if (!can_enter(place)) return;
  const std::string socket = place.path("portolan.sock"), policy = place.path("policy");
  {
    const FileDescriptor file(::open(policy.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    const std::string rules = "allow own * *\nallow connect * *\n";
    REQUIRE(::write(file.get(), rules.data(), rules.size()) == static_cast<ssize_t>(rules.size()));
  }
  ::setenv("PORTOLAN_SOCKET", socket.c_str(), 1);
  ChildProcess daemon = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(enter_unmapped(kOverflow - 1));
    Broker broker({.socket = socket, .permissions = 0666, .policy_file = policy});
    broker.run({});
    return 0;
  });
  REQUIRE(wait_until(broker_answers));
  MessageChannel channel({.trust = Trust::foreign});
  ChildProcess owner = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(::setresuid(kOneUser, kOneUser, kOneUser) == 0);
    keep(kNamespaceName, ports[0]);
    ports[0].post_message("kept");
    for (;;) ::pause();
    return 0;
  });
  REQUIRE(channel.port1.receive_for(kPatience)->text() == "kept");
  owner.kill_and_reap();
  ChildProcess thief = ChildProcess::fork([] {
    PORTOLAN_CHILD_REQUIRE(::setresuid(kOtherUser, kOtherUser, kOtherUser) == 0);
    return reclaim(kNamespaceName, std::chrono::seconds(0)).empty() ? 0 : 1;
  });
  CHECK(thief.wait() == ChildExit::exited(0));
  daemon.kill_and_reap();
  ::unsetenv("PORTOLAN_SOCKET");
}
