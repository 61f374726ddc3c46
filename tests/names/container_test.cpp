// SPDX-License-Identifier: Apache-2.0

// A container and what is outside of it meet through a directory that is mounted in both, and through nothing
// else.
#include <chrono>
#include <cstdio>
#include <doctest/doctest.h>
#include <exception>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "names/stranger.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

const std::string kOutsideName = "org.example.outside";
constexpr const char* kInside = "/run/outside";  // where it is mounted

// Namespaces of its own, an empty /tmp and /run but for `mounted`, which shows `place`. False: the machine
// does not let us. A container of the machine's own may have the right to unshare and none to mount.
bool enter_container(const MeetingPlace& place, const std::string& mounted) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return false;
  // By its descriptor: it may lie below what is about to be hidden.
  const FileDescriptor shown(::open(place.path("").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string source = "/proc/self/fd/" + std::to_string(shown.get());
  return ::mount("none", "/run", "tmpfs", 0, nullptr) == 0 && ::mkdir(mounted.c_str(), 0777) == 0 &&
         ::mount(source.c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         ::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0;
}

// Whether all of it works here, and a process can be the first one inside.
bool can_make_containers() {
  const MeetingPlace place;
  ChildProcess child = ChildProcess::fork([&] {
    if (!enter_container(place, kInside)) return 1;
    const pid_t first = ::fork();
    if (first == 0) ::_exit(::getpid() == 1 ? 0 : 1);
    int status = 0;
    return first > 0 && ::waitpid(first, &status, 0) == first && status == 0 ? 0 : 1;
  });
  const bool possible = child.wait() == ChildExit::exited(0);
  if (!possible) MESSAGE("left out: this machine does not let us make containers, or mount anything in them");
  return possible;
}

// The first process there is 1.
int in_container(const MeetingPlace& place, const std::string& mounted,
                 int (*body)(const std::string& directory)) {
  PORTOLAN_CHILD_REQUIRE(enter_container(place, mounted));
  const pid_t first = ::fork();
  if (first == 0) {
    int code = 99;
    try {
      code = ::getpid() == 1 ? body(mounted) : 98;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the container: %s\n", error.what());
    }
    ::_exit(code);
  }
  int status = 0;
  PORTOLAN_CHILD_REQUIRE(::waitpid(first, &status, 0) == first);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

int talk(MessagePort port) {
  port.post_message("from the inside");
  return port.receive()->text() == "from the outside" ? 0 : 1;
}

// A child that fails before it connects is told at once, and not after the patience of a whole test.
ConnectEvent accept_from(Listener& listener, ChildProcess& child) {
  for (;;) {
    if (auto event = listener.accept_for(std::chrono::milliseconds(100))) return std::move(*event);
    if (const auto ended = child.wait(std::chrono::nanoseconds(0)))
      FAIL("it ended before it connected: " << *ended);
  }
}

}  // namespace

TEST_CASE("a program in a container connects to a path that is mounted there") {
  if (!can_make_containers()) return;
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  ChildProcess child = ChildProcess::fork([&] {
    return in_container(place, kInside, [](const std::string& directory) {
      return talk(connect("unix:" + directory + "/x"));
    });
  });
  ConnectEvent event = accept_from(listener, child);
  CHECK(event.peer().pid > 1);  // as it is known out here
  CHECK(event.peer().pidfd);
  CHECK(event.port().receive()->text() == "from the inside");
  event.port().post_message("from the outside");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a program in a container connects to a name through the daemon's mounted socket") {
  if (!can_make_containers()) return;
  BrokerProcess broker;
  const PortCensus census;
  Listener listener(kOutsideName);
  ChildProcess child = ChildProcess::fork([&] {
    return in_container(broker.place(), kInside, [](const std::string& directory) {
      ::setenv("PORTOLAN_SOCKET", (directory + "/portolan.sock").c_str(), 1);
      return talk(connect(kOutsideName));
    });
  });
  ConnectEvent event = accept_from(listener, child);
  CHECK(event.peer().pid > 1);
  CHECK(event.port().receive()->text() == "from the inside");
  event.port().post_message("from the outside");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "a listener in a container is known outside, and its port goes on when the container knows no name") {
  if (!can_make_containers()) return;
  BrokerProcess broker;
  const PortCensus census;
  ChildProcess child = ChildProcess::fork([&] {
    return in_container(broker.place(), kInside, [](const std::string& directory) {
      ::setenv("PORTOLAN_SOCKET", (directory + "/portolan.sock").c_str(), 1);
      Listener listener(kOutsideName);
      MessagePort port = std::move(listener.accept().port());
      listener.close();
      ::umount2(kInside, MNT_DETACH);
      return talk(std::move(port));
    });
  });
  MessagePort port = connect(kOutsideName);
  CHECK(port.receive()->text() == "from the inside");
  port.post_message("from the outside");
  CHECK(child.wait() == ChildExit::exited(0));
}

namespace {

// Where this process, a stranger, is root: as in a container that somebody runs without being it.
bool enter_rootless() {
  const auto write = [](const char* file, const std::string& text) {
    const FileDescriptor opened(::open(file, O_WRONLY | O_CLOEXEC));
    return ::write(opened.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  const std::string uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
  // A process that has changed its user may not write its own maps, unless it may be looked at.
  return ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 && ::unshare(CLONE_NEWUSER) == 0 &&
         write("/proc/self/setgroups", "deny") && write("/proc/self/uid_map", "0 " + uid + " 1") &&
         write("/proc/self/gid_map", "0 " + gid + " 1") && ::geteuid() == 0;
}

int listen_once() {
  Listener listener(kOutsideName);
  MessagePort port = std::move(listener.accept().port());
  port.post_message("from the outside");
  return port.info().trust == Trust::same_user && port.receive()->text() == "from the inside" ? 0 : 1;
}

int connect_once() {
  MessagePort port = connect(kOutsideName);
  if (port.info().trust != Trust::same_user) return 2;
  return talk(std::move(port));
}

}  // namespace

TEST_CASE("in a container without root the same user is the same user, whoever of the two listens") {
  if (!strangers_come_to(MeetingPlace())) return;
  ChildProcess trial = ChildProcess::fork([] { return become_stranger() && enter_rootless() ? 0 : 1; });
  if (trial.wait() != ChildExit::exited(0)) {
    MESSAGE("left out: this machine gives nobody a user namespace");
    return;
  }
  BrokerProcess broker({}, {}, {}, kStranger);  // that user's own
  const PortCensus census;
  for (const bool listens_inside : {true, false}) {
    CAPTURE(listens_inside);
    ChildProcess inside = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(become_stranger() && enter_rootless());
      return listens_inside ? listen_once() : connect_once();
    });
    ChildProcess outside = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(become_stranger());
      return listens_inside ? connect_once() : listen_once();
    });
    CHECK(inside.wait() == ChildExit::exited(0));
    CHECK(outside.wait() == ChildExit::exited(0));
  }
}
