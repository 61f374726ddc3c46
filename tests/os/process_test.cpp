// SPDX-License-Identifier: Apache-2.0

// Forks that are noticed, programs that are started with chosen descriptors, deaths that are seen.
#include "os/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <set>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/error.hpp>

#include "os/fork_watch.hpp"
#include "os/random.hpp"
#include "support/child_process.hpp"
#include "support/resource_census.hpp"

using namespace portolan::os;
using portolan::FileDescriptor;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::ResourceCensus;

namespace {

struct Pipe {
  FileDescriptor reading;
  FileDescriptor writing;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reading.reset(ends[0]);
    writing.reset(ends[1]);
  }
};

std::string read_all(const FileDescriptor& reading) {
  std::string text;
  std::array<char, 256> space;
  ssize_t size;
  while ((size = ::read(reading.get(), space.data(), space.size())) > 0) {
    text.append(space.data(), static_cast<std::size_t>(size));
  }
  return text;
}

SpawnRequest shell(std::string script) {
  SpawnRequest request;
  request.program = "sh";
  request.arguments = {"-c", std::move(script)};
  request.environment = current_environment();
  return request;
}

ProcessEnd run(const SpawnRequest& request) {
  return *wait_for_end(spawn(request).pidfd.get(), -1);
}

// What the script writes to descriptor 3.
std::string output_of(SpawnRequest request) {
  Pipe pipe;
  request.descriptors.push_back({pipe.writing.get(), 3});
  const SpawnedProcess child = spawn(request);
  pipe.writing.reset();
  std::string text = read_all(pipe.reading);
  CHECK(wait_for_end(child.pidfd.get(), -1)->kind == ProcessEnd::Kind::exited);
  return text;
}

}  // namespace

TEST_CASE("an object knows whether a fork lies behind it, however deep") {
  const std::uint32_t born = fork_generation();
  CHECK(born != 0);
  CHECK_FALSE(forked_since(born));
  ChildProcess child = ChildProcess::fork([born] {
    PORTOLAN_CHILD_REQUIRE(forked_since(born));
    const std::uint32_t own = fork_generation();
    PORTOLAN_CHILD_REQUIRE(own != 0 && !forked_since(own));
    ChildProcess grandchild =
        ChildProcess::fork([born, own] { return forked_since(born) && forked_since(own) ? 0 : 1; });
    PORTOLAN_CHILD_REQUIRE(!forked_since(own));
    return grandchild.wait() == ChildExit::exited(0) ? 0 : 1;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK_FALSE(forked_since(born));
}

TEST_CASE("numbers that nobody can guess never come twice, nor in a forked child") {
  std::set<std::uint64_t> seen;
  const auto see = [&seen](const std::array<std::uint64_t, 2>& words) {
    return seen.insert(words[0]).second && seen.insert(words[1]).second;
  };
  for (int i = 0; i < 100; ++i) CHECK(see(random_words()));
  Pipe pipe;
  ChildProcess child = ChildProcess::fork([&] {
    for (int i = 0; i < 20; ++i) {
      const std::array<std::uint64_t, 2> words = random_words();
      PORTOLAN_CHILD_REQUIRE(::write(pipe.writing.get(), words.data(), sizeof words) == sizeof words);
    }
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  for (int i = 0; i < 20; ++i) CHECK(see(random_words()));
  std::array<std::uint64_t, 2> words{};
  for (int i = 0; i < 20; ++i) {
    REQUIRE(::read(pipe.reading.get(), words.data(), sizeof words) == sizeof words);
    CHECK(see(words));
  }
}

TEST_CASE("a raw clone is a fork, too") {
  const std::uint32_t born = fork_generation();
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) ::_exit(forked_since(born) ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a child by fork or by a raw clone has a number of its own, and so has its parent") {
  const auto own = static_cast<std::uint32_t>(::getpid());
  CHECK(process_id() == own);
  ChildProcess child = ChildProcess::fork([own] {
    PORTOLAN_CHILD_REQUIRE(process_id() != own);
    return process_id() == static_cast<std::uint32_t>(::getpid()) ? 0 : 1;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) ::_exit(process_id() == static_cast<std::uint32_t>(::getpid()) ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(process_id() == own);
}

namespace {
int prepared = 0;
int in_parent = 0;
int in_child = 0;
}  // namespace

TEST_CASE("functions are called around a fork") {
  on_fork([] { ++prepared; }, [] { ++in_parent; }, [] { ++in_child; });
  ChildProcess child =
      ChildProcess::fork([] { return prepared == 1 && in_parent == 0 && in_child == 1 ? 0 : 1; });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(prepared == 1);
  CHECK(in_parent == 1);
  CHECK(in_child == 0);
}

TEST_CASE("a program gets its arguments, its environment and its directory") {
  const ResourceCensus census;
  SpawnRequest request = shell(R"(printf '%s|%s|%s' "$1" "$GREETING" "$PWD" >&3)");
  request.arguments.insert(request.arguments.end(), {"zero", "one two"});
  request.environment = {"GREETING=hello", "PATH=/usr/bin:/bin"};
  request.directory = "/usr";
  CHECK(output_of(request) == "one two|hello|/usr");
}

TEST_CASE("descriptors arrive under their numbers although those collide") {
  const ResourceCensus census;
  Pipe first;
  Pipe second;
  // Each is wanted where the other one is here, and one stays where it is.
  SpawnRequest request =
      shell("echo a >/dev/fd/" + std::to_string(first.writing.get()) + "; echo b >/dev/fd/" +
            std::to_string(second.writing.get()) + "; echo c >/dev/fd/200");
  request.descriptors = {{second.writing.get(), first.writing.get()},
                         {first.writing.get(), second.writing.get()},
                         {first.writing.get(), 200}};
  const SpawnedProcess child = spawn(request);
  first.writing.reset();
  second.writing.reset();
  CHECK(read_all(first.reading) == "b\nc\n");
  CHECK(read_all(second.reading) == "a\n");
  CHECK(wait_for_end(child.pidfd.get(), -1)->value == 0);
}

TEST_CASE("descriptors arrive under numbers that are free here") {
  const ResourceCensus census;
  Pipe first;
  Pipe second;
  const int free_here = first.writing.duplicate().get();  // and closed again: what a duplicate would get
  SpawnRequest request = shell("echo a >/dev/fd/" + std::to_string(free_here + 1) + "; echo b >/dev/fd/" +
                               std::to_string(free_here));
  request.descriptors = {{first.writing.get(), free_here + 1}, {second.writing.get(), free_here}};
  const SpawnedProcess child = spawn(request);
  first.writing.reset();
  second.writing.reset();
  CHECK(read_all(first.reading) == "a\n");
  CHECK(read_all(second.reading) == "b\n");
  CHECK(wait_for_end(child.pidfd.get(), -1)->value == 0);
}

TEST_CASE("a descriptor that stays at its number survives the exec, and no other does") {
  const Pipe pipe;
  const int same = pipe.writing.get();
  SpawnRequest request = shell("test -e /proc/self/fd/" + std::to_string(same) +
                               " && ! test -e /proc/self/fd/" + std::to_string(pipe.reading.get()));
  request.descriptors = {{same, same}};
  CHECK(run(request).value == 0);
}

TEST_CASE("a child has no blocked signals") {
  sigset_t blocked;
  sigset_t before;
  ::sigfillset(&blocked);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  SpawnRequest request;
  request.program = "grep";  // not the shell, which unblocks them itself
  request.arguments = {"SigBlk", "/proc/self/status"};
  request.environment = current_environment();
  Pipe pipe;
  request.descriptors = {{pipe.writing.get(), 1}};
  const SpawnedProcess child = spawn(request);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pipe.writing.reset();
  CHECK(read_all(pipe.reading) == "SigBlk:\t0000000000000000\n");
  CHECK(wait_for_end(child.pidfd.get(), -1)->value == 0);
}

TEST_CASE("a program that cannot be started is an error and no child") {
  const ResourceCensus census;
  SpawnRequest request;
  request.program = "/nonexistent/program";
  try {
    static_cast<void>(spawn(request));
    FAIL("no exception");
  } catch (const portolan::PortError& error) {
    CHECK(error.code() == std::errc::no_such_file_or_directory);
    CHECK(std::string(error.what())
              .starts_with("spawn(\"/nonexistent/program\"): No such file or directory; "));
  }
  request = shell("true");
  request.directory = "/nonexistent";
  CHECK_THROWS_AS(static_cast<void>(spawn(request)), portolan::PortError);
  request = shell("true");
  request.descriptors = {{1'000'000, 3}};
  CHECK_THROWS_AS(static_cast<void>(spawn(request)), portolan::PortError);
}

TEST_CASE("how a child ended is told, once") {
  const ResourceCensus census;
  const SpawnedProcess child = spawn(shell("exit 7"));
  const auto end = wait_for_end(child.pidfd.get(), -1);
  REQUIRE(end);
  CHECK(end->kind == ProcessEnd::Kind::exited);
  CHECK(end->value == 7);
  CHECK(wait_for_end(child.pidfd.get(), -1)->kind == ProcessEnd::Kind::unknown);
}

TEST_CASE("a live child is waited for up to the timeout, and its death is seen before it is reaped") {
  const ResourceCensus census;
  const SpawnedProcess child = spawn(shell("kill -STOP $$; exit 1"));
  CHECK_FALSE(is_dead(child.pidfd.get()));
  CHECK_FALSE(wait_for_end(child.pidfd.get(), 1'000'000));
  CHECK_FALSE(wait_for_end(child.pidfd.get(), 0));
  REQUIRE_FALSE(send_signal(child.pidfd.get(), SIGKILL));
  const FileDescriptor another = open_pidfd(child.pid);
  CHECK(portolan::testing::wait_until([&] { return is_dead(another.get()); }));
  const auto end = wait_for_end(child.pidfd.get(), -1);
  CHECK(end->kind == ProcessEnd::Kind::killed);
  CHECK(end->value == SIGKILL);
  CHECK(send_signal(child.pidfd.get(), SIGKILL) == std::errc::no_such_process);
  CHECK_THROWS_AS(static_cast<void>(open_pidfd(child.pid)), portolan::PortError);
}

TEST_CASE("close-on-exec can be switched") {
  const Pipe pipe;
  const int descriptor = pipe.writing.get();
  REQUIRE_FALSE(set_inheritable(descriptor, true));
  CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) == 0);
  REQUIRE_FALSE(set_inheritable(descriptor, false));
  CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(set_inheritable(-1, true) == std::errc::bad_file_descriptor);
}

TEST_CASE("a variable is taken out of the environment, once") {
  ::setenv("PORTOLAN_TEST_VARIABLE", "a=b", 1);
  CHECK(take_from_environment("PORTOLAN_TEST_VARIABLE") == "a=b");
  CHECK(::getenv("PORTOLAN_TEST_VARIABLE") == nullptr);
  CHECK_FALSE(take_from_environment("PORTOLAN_TEST_VARIABLE"));
}

TEST_CASE("a program starts although the table of descriptors has room for the duplicates only") {
  const ResourceCensus census;
  ChildProcess child = ChildProcess::fork([] {
    const Pipe pipe;
    SpawnRequest request = shell("exit 3");
    request.descriptors = {{pipe.writing.get(), pipe.writing.get()}};
    const auto first_free = static_cast<rlim_t>(pipe.writing.get()) + 1;
    const rlimit limit{first_free + 1, first_free + 1};
    PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return run(request).value;
  });
  CHECK(child.wait() == ChildExit::exited(3));
}
