// SPDX-License-Identifier: Apache-2.0

// The support is what the other tests' verdicts rest on, so each part is shown here both to pass and to
// complain.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <optional>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/body.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/resource_census.hpp"
#include "support/shared_page.hpp"
#include "support/watchdog.hpp"

using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

struct Progress {
  std::atomic<int> phase;
  std::atomic<int> count;
};

std::string only_line(const Census& before) {
  const auto lines = left_behind(before, Census::take());
  REQUIRE(lines.size() == 1);
  return lines.front();
}

void sleep_for_ever() {
  while (true) {
    ::pause();
  }
}

}  // namespace

PORTOLAN_BODY(exit_with_first_argument) {
  return std::stoi(arguments[0]);
}

PORTOLAN_BODY(count_in_inherited_page) {
  const SharedPage<Progress> page(std::stoi(arguments[0]));
  page->count.fetch_add(1);
  return 0;
}

PORTOLAN_BODY(hang_under_a_watchdog) {
  const Watchdog watchdog("the planted hang", 1);
  sleep_for_ever();
  return 0;
}

// Says into the descriptor that it is given; the alarm does not have to be waited for.
PORTOLAN_BODY(wait_in_vain) {
  ::dup2(std::stoi(arguments[0]), STDERR_FILENO);
  const Watchdog watchdog("a planted case", kTestCaseSeconds);
  Watchdog::passes("tests/here.cpp", 7);
  const bool in_vain = arguments[1] == std::string("in vain");
  std::optional<Waits> waits("what never comes");
  if (!in_vain) waits.reset();
  PORTOLAN_CHILD_REQUIRE(::alarm(0) > (in_vain ? 0U : static_cast<unsigned>(kPatience.count())));
  return ::raise(SIGALRM);
}

TEST_CASE("a condition that holds is true at once and one that never holds is false at the deadline") {
  int asked = 0;
  CHECK(wait_until([&] { return ++asked == 3; }));
  CHECK(asked == 3);
  CHECK_FALSE(wait_until([] { return false; }, 5ms));
}

TEST_CASE("a forked child reports its code, its exception, its failed requirement and its signal") {
  const ResourceCensus census;
  CHECK(ChildProcess::fork([] { return 7; }).wait() == ChildExit::exited(7));
  CHECK(ChildProcess::fork([]() -> int { throw std::runtime_error("planted"); }).wait() ==
        ChildExit::exited(99));
  CHECK(ChildProcess::fork([] {
          PORTOLAN_CHILD_REQUIRE(1 + 1 == 3);
          return 0;
        }).wait() == ChildExit::exited(1));
  CHECK(ChildProcess::fork([]() -> int { return ::raise(SIGSEGV); }).wait() == ChildExit::killed(SIGSEGV));
}

TEST_CASE("a re-executed child runs the named body with its arguments and no other body") {
  const ResourceCensus census;
  CHECK(ChildProcess::execute("exit_with_first_argument", {"42"}).wait() == ChildExit::exited(42));
  CHECK(ChildProcess::execute("no_such_body").wait() == ChildExit::exited(98));
  CHECK(ChildProcess::execute("exit_with_first_argument", {"no number"}).wait() == ChildExit::exited(99));
}

TEST_CASE("a shared page is seen by forked and by re-executed children and outlives them") {
  const ResourceCensus census;
  const SharedPage<Progress> page;
  CHECK(page->count == 0);
  CHECK(ChildProcess::fork([&] {
          page->count.fetch_add(1);
          return 0;
        }).wait() == ChildExit::exited(0));
  CHECK(ChildProcess::execute("count_in_inherited_page", {std::to_string(page.descriptor())},
                              {page.descriptor()})
            .wait() == ChildExit::exited(0));
  CHECK(page->count == 2);
}

TEST_CASE("a child is stopped, resumed, killed and reaped") {
  const ResourceCensus census;
  const SharedPage<Progress> page;
  ChildProcess child = ChildProcess::fork([&] {
    while (true) {
      page->count.fetch_add(1);
      ::usleep(100);
    }
    return 0;
  });
  REQUIRE(wait_until([&] { return page->count > 0; }));
  child.stop();
  const int stopped_at = page->count;
  CHECK_FALSE(child.wait(5ms).has_value());
  CHECK(page->count == stopped_at);
  child.resume();
  CHECK(wait_until([&] { return page->count > stopped_at; }));
  CHECK(child.kill_and_reap() == ChildExit::killed(SIGKILL));
  CHECK(child.wait() == ChildExit::killed(SIGKILL));
}

TEST_CASE("a child that is forgotten is killed with its object") {
  const ResourceCensus census;
  pid_t pid = 0;
  {
    const ChildProcess child = ChildProcess::fork([] {
      sleep_for_ever();
      return 0;
    });
    pid = child.pid();
    CHECK(::kill(pid, 0) == 0);
  }
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE("a census names a descriptor that stayed open") {
  const Census before = Census::take();
  CHECK(left_behind(before, Census::take()).empty());
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(only_line(before) == "descriptor " + std::to_string(descriptor) + " -> /dev/null");
  ::close(descriptor);
  CHECK(left_behind(before, Census::take()).empty());
}

TEST_CASE("a census names a descriptor that took a closed one's number") {
  const int first = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Census before = Census::take();
  const int second = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ::dup2(second, first);
  ::close(second);
  CHECK(only_line(before) == "descriptor " + std::to_string(first) + " -> /dev/zero");
  ::close(first);
}

TEST_CASE("a census names a shared mapping, also when one of the same file was there before") {
  const SharedPage<Progress> page;
  const Census before = Census::take();
  void* again = ::mmap(nullptr, sizeof(Progress), PROT_READ, MAP_SHARED, page.descriptor(), 0);
  CHECK(only_line(before).starts_with("mapping "));
  ::munmap(again, sizeof(Progress));
  CHECK(left_behind(before, Census::take()).empty());
}

TEST_CASE("a census names a child, alive or zombie") {
  const Census before = Census::take();
  ChildProcess child = ChildProcess::fork([] { return 0; });
  siginfo_t information{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &information, WEXITED | WNOWAIT) == 0);
  CHECK(only_line(before) == "child " + std::to_string(child.pid()));
  child.wait();
  CHECK(left_behind(before, Census::take()).empty());
}

TEST_CASE("a census sees memory that sits in a socket queue and has no mapping") {
  constexpr std::size_t kBytes = 64 << 20;  // far above the slack, whatever else the machine does
  Census before = Census::take();
  const int memory = ::memfd_create("leak", MFD_CLOEXEC);
  REQUIRE(::fallocate(memory, 0, 0, kBytes) == 0);
  const Census after = Census::take();
  before.descriptors = after.descriptors;
  CHECK(only_line(before).starts_with("Shmem "));
  ::close(memory);
}

TEST_CASE("memory that another process holds meanwhile is not left behind") {
  const SharedPage<Progress> page;
  ChildProcess other = ChildProcess::fork([&] {
    const int memory = ::memfd_create("busy", MFD_CLOEXEC);
    PORTOLAN_CHILD_REQUIRE(wait_until([&] { return page->phase == 1; }));
    PORTOLAN_CHILD_REQUIRE(::fallocate(memory, 0, 0, 64 << 20) == 0);
    page->phase = 2;
    sleep_for_ever();
    return 0;
  });
  const ResourceCensus census(5ms);
  page->phase = 1;
  REQUIRE(wait_until([&] { return page->phase == 2; }));
}

TEST_CASE("a census that finds something fails its test case" * doctest::should_fail()) {
  int descriptor = -1;
  {
    const ResourceCensus census(5ms);
    descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  ::close(descriptor);
}

TEST_CASE("a watchdog ends a program that hangs and says what hung") {
  const ResourceCensus census;
  CHECK(ChildProcess::execute("hang_under_a_watchdog").wait() == ChildExit::exited(kWatchdogExit));
}

TEST_CASE("who waits in vain says for what and after which assertion, and is none that hangs") {
  const ResourceCensus census;
  const auto said_by = [](const char* how, ChildExit expected) {
    const int said = ::memfd_create("said", MFD_CLOEXEC);
    CHECK(ChildProcess::execute("wait_in_vain", {std::to_string(said), how}, {said}).wait() == expected);
    std::string text(256, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(said, text.data(), text.size(), 0))));
    ::close(said);
    return text;
  };
  CHECK(said_by("in vain", ChildExit::exited(kInVainExit)) ==
        "\nERROR: waits in vain: a planted case: for what never comes; after here.cpp:7\n");
  CHECK(said_by("not any more", ChildExit::exited(kWatchdogExit)) ==
        "\nwatchdog: hangs: a planted case; after here.cpp:7\n");
}
