// SPDX-License-Identifier: Apache-2.0

// Epoll, event counters, membarrier, the clock and the pause.
#include <array>
#include <cerrno>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <thread>

#include "os/epoll.hpp"
#include "os/event_counter.hpp"
#include "os/membarrier.hpp"
#include "os/pause.hpp"
#include "os/socket.hpp"
#include "refused_call.hpp"
#include "support/body.hpp"
#include "support/child_process.hpp"
#include "support/resource_census.hpp"

using namespace portolan::os;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::ResourceCensus;

namespace {

constexpr std::int64_t kLongNs = 60'000'000'000;

bool readable(int descriptor) {
  pollfd asked{descriptor, POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

// The tag that is ready at once; 0 if none is.
std::uint64_t ready_now(Epoll& epoll) {
  std::array<ReadyTag, 4> ready;
  return epoll.wait(ready, 0) == 1 ? ready[0].tag : 0;
}

}  // namespace

TEST_CASE("an event counter is readable from its signal until it is drained") {
  const ResourceCensus census;
  EventCounter counter;
  CHECK_FALSE(readable(counter.descriptor()));
  CHECK_FALSE(counter.drain());
  counter.signal();
  counter.signal();
  CHECK(readable(counter.descriptor()));
  CHECK(counter.drain());
  CHECK_FALSE(readable(counter.descriptor()));
}

TEST_CASE("epoll tells tags, each edge once, and what was ready before it was added") {
  const ResourceCensus census;
  Epoll epoll;
  const auto pair = make_socket_pair();
  REQUIRE_FALSE(send_doorbell(pair[0].get()));
  CHECK_FALSE(epoll.add(pair[1].get(), kReadable | kPeerShutDown | kEdgeTriggered, 0x1234'5678'9abc'def0));
  CHECK(ready_now(epoll) == 0x1234'5678'9abc'def0);
  CHECK(ready_now(epoll) == 0);
  REQUIRE_FALSE(send_doorbell(pair[0].get()));  // behind one that is still queued
  CHECK(ready_now(epoll) == 0x1234'5678'9abc'def0);
  CHECK(epoll.add(pair[1].get(), kReadable, 1) == std::errc::file_exists);
  CHECK_FALSE(epoll.modify(pair[1].get(), kReadable, 2));
  CHECK(ready_now(epoll) == 2);
  CHECK(ready_now(epoll) == 2);
  epoll.remove(pair[1].get());
  CHECK(ready_now(epoll) == 0);
}

TEST_CASE("epoll tells a hang-up") {
  Epoll epoll;
  auto pair = make_socket_pair();
  CHECK_FALSE(epoll.add(pair[1].get(), kReadable | kPeerShutDown | kEdgeTriggered, 7));
  pair[0].reset();
  std::array<ReadyTag, 1> ready;
  REQUIRE(epoll.wait(ready, kLongNs) == 1);
  CHECK((ready[0].events & kHungUp) != 0);
  CHECK((ready[0].events & kPeerShutDown) != 0);
}

TEST_CASE("an epoll wait ends at its timeout and by a signal from another thread") {
  Epoll epoll;
  EventCounter counter;
  std::array<ReadyTag, 1> ready;
  CHECK(epoll.wait(ready, 1'000'000) == 0);
  CHECK_FALSE(epoll.add(counter.descriptor(), kReadable, 1));
  std::thread other([&counter] { counter.signal(); });
  CHECK(epoll.wait(ready, -1) == 1);
  other.join();
}

TEST_CASE("epoll waits in milliseconds where nanoseconds are refused") {
  ChildProcess child = ChildProcess::fork([] {
    PORTOLAN_CHILD_REQUIRE(portolan::testing::refuse_call(SYS_epoll_pwait2, ENOSYS));
    Epoll epoll;
    EventCounter counter;
    std::array<ReadyTag, 1> ready;
    PORTOLAN_CHILD_REQUIRE(epoll.wait(ready, 1) == 0);
    PORTOLAN_CHILD_REQUIRE(!epoll.add(counter.descriptor(), kReadable, 1));
    counter.signal();
    PORTOLAN_CHILD_REQUIRE(epoll.wait(ready, -1) == 1);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("membarrier works in a forked child if it does here") {
  CHECK(membarrier() == membarrier_registered());
  ChildProcess child = ChildProcess::fork([] { return membarrier() == membarrier_registered() ? 0 : 1; });
  CHECK(child.wait() == ChildExit::exited(0));
}

PORTOLAN_BODY(membarrier_at_load) {
  // 0: registered, and it works; 3: consistently refused.
  if (membarrier_registered()) return membarrier() ? 0 : 1;
  return membarrier() ? 2 : 3;
}

TEST_CASE("a program is registered at load, and a filter's refusal is noticed at load") {
  ChildProcess plain = ChildProcess::execute("membarrier_at_load");
  CHECK(plain.wait() == ChildExit::exited(membarrier_registered() ? 0 : 3));
  for (const int error : {ENOSYS, EPERM}) {
    ChildProcess refused = ChildProcess::fork([error] {
      PORTOLAN_CHILD_REQUIRE(portolan::testing::refuse_call(SYS_membarrier, error));
      PORTOLAN_CHILD_REQUIRE(!membarrier());  // registered long ago, and refused now
      ChildProcess program = ChildProcess::execute("membarrier_at_load");
      return program.wait() == ChildExit::exited(3) ? 0 : 1;
    });
    CHECK(refused.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("the clock does not go back and a pause has a price") {
  const std::int64_t before_ns = monotonic_ns();
  cpu_pause();
  CHECK(monotonic_ns() >= before_ns);
  CHECK(pause_picoseconds() > 0);
  CHECK(pause_picoseconds() == pause_picoseconds());
}
