// SPDX-License-Identifier: Apache-2.0

// A process that a test starts, watches, stops and kills. It runs either a function in a forked copy of the
// test, or a named body in a fresh execution of the test binary, which has nothing of the test's memory. A
// child dies with the test: it asks for SIGKILL when the thread that started it ends.
#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portolan::testing {

// How a process ended: one of the two is set.
struct ChildExit {
  std::optional<int> code;
  std::optional<int> signal;

  static ChildExit exited(int code) { return {code, std::nullopt}; }
  static ChildExit killed(int signal) { return {std::nullopt, signal}; }
  friend bool operator==(const ChildExit&, const ChildExit&) = default;
  friend std::ostream& operator<<(std::ostream&, const ChildExit&);
};

class ChildProcess {
 public:
  // Runs `body` in a forked child, which ends with what it returns through _exit: no destructor of the test
  // runs there, and no doctest assertion counts there; use PORTOLAN_CHILD_REQUIRE. An exception is code 99.
  static ChildProcess fork(const std::function<int()>& body);

  // Runs the body registered under `name` with PORTOLAN_BODY in a new execution of this binary. `descriptors`
  // are inherited under their own numbers, all others that are close-on-exec are not.
  static ChildProcess execute(std::string_view name, const std::vector<std::string>& arguments = {},
                              const std::vector<int>& descriptors = {});

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // kill_and_reap, if it was not reaped before

  pid_t pid() const { return pid_; }

  // Waits for the end and reaps; on a passed deadline nullopt, and the child goes on. Afterwards the same
  // answer.
  std::optional<ChildExit> wait(std::chrono::nanoseconds deadline);
  // As above with the usual patience; a child that is still alive then is killed, and the status says so.
  ChildExit wait();

  void send(int signal) const;
  void stop() const;  // SIGSTOP, and waits until all of it stands still
  void resume() const;
  ChildExit kill_and_reap();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  std::optional<ChildExit> status_;
};

// Ends a child with code 1 and a line on stderr when `holds` is false.
void child_require(bool holds, const char* expression, const char* file, int line);
#define PORTOLAN_CHILD_REQUIRE(...) \
  ::portolan::testing::child_require(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

}  // namespace portolan::testing
