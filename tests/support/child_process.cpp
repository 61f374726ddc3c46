// SPDX-License-Identifier: Apache-2.0

#include "support/child_process.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <ostream>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "support/condition.hpp"

namespace portolan::testing {

namespace {

constexpr int kBodyThrew = 99;
constexpr int kExecFailed = 127;  // as a shell says it

[[noreturn]] void fail(const char* call) {
  throw std::system_error(errno, std::generic_category(), std::string("ChildProcess: ") + call);
}

// In the child: no handler of doctest reports a crash in the test's name, and nothing outlives the test.
void become_child(pid_t parent) {
  for (const int signal : std::array{SIGABRT, SIGALRM, SIGFPE, SIGILL, SIGINT, SIGSEGV, SIGTERM}) {
    ::signal(signal, SIG_DFL);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(0);  // the test ended before the prctl
  }
}

pid_t fork_child() {
  std::fflush(nullptr);  // or both would write what is still buffered
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    fail("fork");
  }
  if (pid == 0) {
    become_child(parent);
  }
  return pid;
}

ChildExit decode(int status) {
  return WIFSIGNALED(status) ? ChildExit::killed(WTERMSIG(status)) : ChildExit::exited(WEXITSTATUS(status));
}

std::optional<ChildExit> reap(pid_t pid) {
  int status = 0;
  const pid_t reaped = ::waitpid(pid, &status, WNOHANG);
  if (reaped < 0) {
    fail("waitpid");
  }
  return reaped == 0 ? std::nullopt : std::optional(decode(status));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const ChildExit& status) {
  if (status.signal) {
    return out << "killed by signal " << *status.signal << " (" << ::sigabbrev_np(*status.signal) << ")";
  }
  return out << "exit code " << status.code.value_or(-1);
}

ChildProcess ChildProcess::fork(const std::function<int()>& body) {
  const pid_t pid = fork_child();
  if (pid != 0) {
    return ChildProcess(pid);
  }
  int code = kBodyThrew;
  try {
    code = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forked child: %s\n", error.what());
  }
  std::fflush(nullptr);
  ::_exit(code);
}

ChildProcess ChildProcess::execute(std::string_view name, const std::vector<std::string>& arguments,
                                   const std::vector<int>& descriptors) {
  std::vector<std::string> words{"/proc/self/exe", "--portolan-body", std::string(name)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);

  const pid_t pid = fork_child();
  if (pid != 0) {
    return ChildProcess(pid);
  }
  for (const int descriptor : descriptors) {
    ::fcntl(descriptor, F_SETFD, 0);
  }
  ::execv(pointers[0], pointers.data());
  ::_exit(kExecFailed);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill_and_reap();
  }
}

std::optional<ChildExit> ChildProcess::wait(std::chrono::nanoseconds deadline) {
  if (!status_) {
    static_cast<void>(wait_until([this] { return (status_ = reap(pid_)).has_value(); }, deadline));
  }
  return status_;
}

ChildExit ChildProcess::wait() {
  if (const auto status = wait(kPatience)) {
    return *status;
  }
  std::fprintf(stderr, "child %d did not end; killing it\n", pid_);
  return kill_and_reap();
}

void ChildProcess::send(int signal) const {
  if (!status_ && ::kill(pid_, signal) != 0) {
    fail("kill");
  }
}

void ChildProcess::stop() const {
  send(SIGSTOP);
  siginfo_t information{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &information, WSTOPPED | WEXITED | WNOWAIT) != 0) {
    fail("waitid");
  }
}

void ChildProcess::resume() const {
  send(SIGCONT);
}

ChildExit ChildProcess::kill_and_reap() {
  if (!status_) {
    send(SIGKILL);
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_) {
      fail("waitpid");
    }
    status_ = decode(status);
  }
  return *status_;
}

void child_require(bool holds, const char* expression, const char* file, int line) {
  if (!holds) {
    std::fprintf(stderr, "%s:%d: child required: %s\n", file, line, expression);
    ::_exit(1);
  }
}

}  // namespace portolan::testing
