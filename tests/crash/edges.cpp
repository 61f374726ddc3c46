// SPDX-License-Identifier: Apache-2.0

#include "crash/edges.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child_process.hpp"

namespace portolan::testing {

namespace {

// The signal that it stands still for; 0: it has ended.
int wait_for_stop(pid_t child) {
  siginfo_t news{};
  const auto id = static_cast<id_t>(child);
  if (::waitid(P_PID, id, &news, WEXITED | WSTOPPED | WNOWAIT) != 0) return 0;
  if (news.si_code == CLD_EXITED || news.si_code == CLD_KILLED || news.si_code == CLD_DUMPED) return 0;
  return ::waitid(P_PID, id, &news, WSTOPPED) == 0 ? news.si_status : 0;
}

}  // namespace

void stop_for_tracer() {
  PORTOLAN_CHILD_REQUIRE(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
  ::raise(SIGSTOP);
}

bool run_to_edge(pid_t child, unsigned edges) {
  for (; wait_for_stop(child) != 0; --edges) {
    if (edges == 0) return true;
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0) return false;
  }
  return false;
}

#ifdef PORTOLAN_CAN_STEP

namespace {

#ifdef __x86_64__
constexpr std::array<unsigned char, 2> kSystemCall{0x0f, 0x05};  // syscall
constexpr auto kProgramCounter = &user_regs_struct::rip;
#else
constexpr std::array<unsigned char, 4> kSystemCall{0x01, 0x00, 0x00, 0xd4};  // svc #0
constexpr auto kProgramCounter = &user_regs_struct::pc;
#endif

bool stands_before_system_call(pid_t child) {
  user_regs_struct registers{};
  iovec part{&registers, sizeof registers};
  if (::ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &part) != 0) return false;
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKTEXT, child, registers.*kProgramCounter, nullptr);
  return errno == 0 && std::memcmp(&word, kSystemCall.data(), kSystemCall.size()) == 0;
}

// True: it stands behind its next instruction.
bool step(pid_t child) {
  return ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0 && wait_for_stop(child) == SIGTRAP;
}

}  // namespace

void end_for_tracer() {
  for (::raise(SIGSTOP);; ::pause()) {
  }
}

std::vector<Step> survey(pid_t child, const std::function<bool()>& changed) {
  std::vector<Step> steps{{}};
  if (wait_for_stop(child) != SIGSTOP) return {};
  for (;;) {
    const bool call = stands_before_system_call(child);
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) return {};
    const int signal = wait_for_stop(child);
    if (signal == SIGSTOP) return steps;
    if (signal != SIGTRAP) return {};
    const Step& last = steps.back();
    const bool new_state = changed() || call;
    steps.push_back(call ? Step{last.calls + 1, 0, new_state}
                         : Step{last.calls, last.instructions + 1, new_state});
  }
}

bool run_to_step(pid_t child, Step wanted) {
  if (wait_for_stop(child) != SIGSTOP) return false;
  for (unsigned edges = 2 * wanted.calls; edges > 0; --edges) {
    if (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) != 0 || wait_for_stop(child) != SIGTRAP)
      return false;
  }
  for (std::uint64_t left = wanted.instructions; left > 0; --left)
    if (!step(child)) return false;
  return true;
}

#endif

}  // namespace portolan::testing
