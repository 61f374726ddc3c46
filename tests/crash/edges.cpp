// SPDX-License-Identifier: Apache-2.0

#include "crash/edges.hpp"

#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "support/child_process.hpp"

namespace portolan::testing {

namespace {

// False: it has ended.
bool wait_for_stop(pid_t child) {
  siginfo_t news{};
  const auto id = static_cast<id_t>(child);
  if (::waitid(P_PID, id, &news, WEXITED | WSTOPPED | WNOWAIT) != 0) return false;
  if (news.si_code == CLD_EXITED || news.si_code == CLD_KILLED || news.si_code == CLD_DUMPED) return false;
  return ::waitid(P_PID, id, &news, WSTOPPED) == 0;
}

}  // namespace

void stop_for_tracer() {
  PORTOLAN_CHILD_REQUIRE(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
  ::raise(SIGSTOP);
}

bool run_to_edge(pid_t child, unsigned edges) {
  for (; wait_for_stop(child); --edges) {
    if (edges == 0) return true;
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0) return false;
  }
  return false;
}

}  // namespace portolan::testing
