// SPDX-License-Identifier: Apache-2.0

// Limits that somebody else has reached: another process of the user, or the group that this one is in.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// An ordinary user with few descriptors; the kernel counts those under way by user.
void become_poor() {
  if (::geteuid() == 0) PORTOLAN_CHILD_REQUIRE(::setresuid(65533, 65533, 65533) == 0);
  const rlimit few{64, 64};
  PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
}

// Empty if the kernel still takes it.
std::error_code refused_port(MessagePort& carrier, MessagePort& port) {
  try {
    carrier.post_message("port", {.transfer = {port}});
  } catch (const PortError& refused) {
    return refused.code();
  }
  return {};
}

// Posts ports that nobody receives until the kernel takes no more.
int use_up(std::atomic<bool>& used_up) {
  become_poor();
  MessageChannel carrier;
  for (;;) {
    MessageChannel data;
    if (refused_port(carrier.port1, data.port1)) break;
  }
  used_up = true;
  for (;;) ::pause();
}

// A group with a limit of memory that one process is put into; empty where none can be made.
class MemoryGroup {
 public:
  static std::optional<std::filesystem::path> make(std::uint64_t most_bytes) {
    for (const char* const root : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
      const std::filesystem::path group =
          std::filesystem::path(root) / ("portolan-test-" + std::to_string(::getpid()));
      std::error_code refused;
      if (!std::filesystem::create_directory(group, refused)) continue;
      for (const char* const limit : {"memory.limit_in_bytes", "memory.max"})
        if (write(group / limit, most_bytes)) {
          write(group / "memory.swap.max", 0);
          return group;
        }
      std::filesystem::remove(group, refused);
    }
    return {};
  }
  static bool write(const std::filesystem::path& file, std::uint64_t number) {
    if (!std::filesystem::exists(file)) return false;
    std::ofstream out(file);
    out << number << std::flush;
    return out.good();
  }
};

}  // namespace

TEST_CASE("descriptors that a neighbour has under way are told, cost no port, and are free when it is gone") {
  SharedPage<std::atomic<bool>> used_up;
  const PortCensus census;
  ChildProcess neighbour = ChildProcess::fork([&] { return use_up(*used_up); });
  REQUIRE(wait_until([&] { return used_up->load(); }));
  SharedPage<std::atomic<bool>> told;
  ChildProcess victim = ChildProcess::fork([&] {
    become_poor();
    MessageChannel carrier, data;
    PORTOLAN_CHILD_REQUIRE(refused_port(carrier.port1, data.port1).value() == ETOOMANYREFS);
    PORTOLAN_CHILD_REQUIRE(data.port1.is_open());
    carrier.port1.post_message("no port");
    PORTOLAN_CHILD_REQUIRE(carrier.port2.receive()->text() == "no port");
    *told = true;
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return !refused_port(carrier.port1, data.port1); }));
    Received received = carrier.port2.receive();
    data.port2.post_message("it works");
    PORTOLAN_CHILD_REQUIRE(received->ports()[0].receive()->text() == "it works");
    return 0;
  });
  CHECK(wait_until([&] { return told->load(); }));
  neighbour.kill_and_reap();
  CHECK(victim.wait() == ChildExit::exited(0));
}

TEST_CASE("a process that its memory group kills while it posts is dead as any other, and has lost nothing") {
  const auto group = MemoryGroup::make(12 << 20);
  if (!group) {
    MESSAGE("no memory group can be made here");
    return;
  }
  SharedPage<std::atomic<std::uint64_t>> posted;
  {
    const PortCensus census;
    MessageChannel data;
    ChildProcess child = fork_with(ports_of(std::move(data.port1)), [&](Ports& ports) {
      PORTOLAN_CHILD_REQUIRE(MemoryGroup::write(*group / "cgroup.procs", static_cast<unsigned>(::getpid())));
      const std::vector<std::byte> body(60'000, std::byte{1});
      for (;;) {
        try {
          ports[0].post_message(body);
        } catch (const PortError&) {  // a kernel that refuses instead
          return 0;
        }
        ++*posted;
      }
    });
    const ChildExit exit = child.wait();
    CHECK((exit == ChildExit::killed(SIGKILL) || exit == ChildExit::exited(0)));
    std::uint64_t received = 0;
    while (Received message = data.port2.receive())
      if (message->bytes().size() == 60'000) ++received;
    CHECK(received >= *posted);
    CHECK(received <= *posted + 1);
    CHECK(received > 50);
  }
  std::error_code busy;
  CHECK(wait_until([&] { return std::filesystem::remove(*group, busy); }));
}
