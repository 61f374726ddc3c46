// SPDX-License-Identifier: Apache-2.0

// A container and what is outside of it meet through a directory that is mounted in both, and through nothing
// else.
#include <doctest/doctest.h>
#include <filesystem>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

const std::string kOutsideName = "org.example.outside";
constexpr const char* kInside = "/run/outside";  // where it is mounted

// Whether this machine lets us make one at all.
bool can_make_containers() {
  ChildProcess child = ChildProcess::fork(
      [] { return ::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) == 0 ? 0 : 1; });
  return child.wait() == ChildExit::exited(0);
}

// Namespaces of its own, an empty /tmp but for `mounted`, which shows `place`; the first process there is 1.
int in_container(const MeetingPlace& place, const std::string& mounted,
                 int (*body)(const std::string& directory)) {
  PORTOLAN_CHILD_REQUIRE(::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) == 0);
  PORTOLAN_CHILD_REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  PORTOLAN_CHILD_REQUIRE(::mount("none", "/run", "tmpfs", 0, nullptr) == 0);
  std::filesystem::create_directory(mounted);
  PORTOLAN_CHILD_REQUIRE(::mount(place.path("").c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) == 0);
  PORTOLAN_CHILD_REQUIRE(::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0);
  const pid_t first = ::fork();
  if (first == 0) {
    int code = 99;
    try {
      code = ::getpid() == 1 ? body(mounted) : 98;
    } catch (const std::exception&) {
      // It is told by the code.
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
  ConnectEvent event = listener.accept();
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
  ConnectEvent event = listener.accept();
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
