// SPDX-License-Identifier: Apache-2.0

// Forks beside threads that never rest. A bare clone runs no handler of fork, so that its child may find any
// lock held by a thread that it does not have.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>
extern "C" {  // glibc 2.36 forgot it in this header
#include <sys/pidfd.h>
}

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "process/busy_channels.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

enum class Way { bare_clone, fork };

int clones() {
  const char* const wished = std::getenv("PORTOLAN_CLONES");
  return wished != nullptr ? std::atoi(wished) : 150;
}

pid_t duplicate_process(Way way) {
  const pid_t pid =
      way == Way::fork
          ? ::fork()
          : static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

// What stands in message_port.hpp for such a child, which may not wait for any lock.
int use_as_allowed(std::vector<MessagePort*>& ports, Way way) {
  int number = 0;
  for (MessagePort* const port : ports) {
    ++number;
    if (port->is_open()) return 10 + number;
    if (port->close_reason()) return 20 + number;
    if (port->buffered_amount().messages != 0) return 30 + number;
    if (way == Way::fork) {
      try {
        static_cast<void>(port->try_post_message(std::uint64_t{999}));
        return 40 + number;
      } catch (const InvalidStateError&) {
      }
    }
    port->close();
    std::destroy_at(port);
  }
  return 0;
}

std::string said_by_kernel(pid_t pid) {
  std::string all;
  for (const char* const file : {"wchan", "stack", "syscall"}) {
    std::ifstream in("/proc/" + std::to_string(pid) + '/' + file);
    all += std::string(file) + ": " + std::string(std::istreambuf_iterator<char>(in), {}) + '\n';
  }
  return all;
}

// Nothing if it ended with 0, else what it did instead.
std::string end_of(pid_t pid) {
  const FileDescriptor process(::pidfd_open(pid, 0));
  pollfd asked{process.get(), POLLIN, 0};
  const auto patience_ms = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience).count();
  int found = 0;
  do found = ::poll(&asked, 1, static_cast<int>(patience_ms));
  while (found < 0 && errno == EINTR);
  std::string hung = found == 1 ? "" : "it hangs\n" + said_by_kernel(pid);
  if (!hung.empty()) ::kill(pid, SIGKILL);
  int status = -1;
  ::waitpid(pid, &status, 0);
  if (!hung.empty() || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return hung;
  return WIFEXITED(status) ? "it ended with " + std::to_string(WEXITSTATUS(status))
                           : "it was killed by signal " + std::to_string(WTERMSIG(status));
}

// As often as wished, and until the threads have done something between any two.
void fork_beside_busy_threads(Way way) {
  const ManyDescriptors many;
  const PortCensus census;
  BusyChannels busy;
  MessageChannel idle, used;
  used.port1.post_message("unread");
  CHECK(wait_until([&] { return busy.answered() > 0; }));
  std::vector<MessagePort*> ports{&idle.port1, &idle.port2, &used.port1, &used.port2};
  for (std::size_t i = 0; i < BusyChannels::kChannels; ++i) ports.push_back(&busy.port(i));
  for (int i = 0; i < clones() && busy.fault() == nullptr; ++i) {
    const std::uint64_t answered = busy.answered();
    const pid_t pid = duplicate_process(way);
    if (pid == 0) ::_exit(use_as_allowed(ports, way));
    REQUIRE(end_of(pid) == "");
    REQUIRE(wait_until([&] { return busy.answered() > answered || busy.fault() != nullptr; }));
  }
  const pid_t lives_on = duplicate_process(way);
  if (lives_on == 0)
    for (;;) ::pause();
  busy.come_to_rest();
  CHECK(std::string(busy.fault() != nullptr ? busy.fault() : "") == "");
  CHECK(used.port2.receive()->text() == "unread");
  used.port2.post_message("back");
  CHECK(used.port1.receive()->text() == "back");
  CHECK(idle.port1.is_open());
  CHECK(busy.close_and_see_peers_end());
  used.port1.close();
  CHECK(used.port2.receive().status() == ReceiveStatus::closed);
  ::kill(lives_on, SIGKILL);
  ::waitpid(lives_on, nullptr, 0);
}

}  // namespace

TEST_CASE(
    "a bare clone beside busy threads asks, closes and destroys its parent's ports, waits for nobody, and "
    "the parent loses nothing") {
  fork_beside_busy_threads(Way::bare_clone);
}

TEST_CASE(
    "a fork beside busy threads asks, closes and destroys its parent's ports, and the parent loses nothing") {
  fork_beside_busy_threads(Way::fork);
}

TEST_CASE("a bare clone that has destroyed its copies does not keep its parent's death from the peer") {
  const PortCensus census;
  SharedPage<std::atomic<pid_t>> clone;
  MessageChannel channel;
  ChildProcess owner = fork_with(ports_of(std::move(channel.port2)), [&](Ports& ports) {
    MessageChannel unused;
    ports[0].post_message("mine");
    const pid_t pid = duplicate_process(Way::bare_clone);
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, 0);
      for (MessagePort* const port : {&ports[0], &unused.port1, &unused.port2}) std::destroy_at(port);
      *clone = ::getpid();
    }
    for (;;) ::pause();
    return 0;
  });
  REQUIRE(wait_until([&] { return clone->load() != 0; }));
  owner.kill_and_reap();
  CHECK(channel.port1.receive()->text() == "mine");
  CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(::kill(*clone, SIGKILL) == 0);
}
