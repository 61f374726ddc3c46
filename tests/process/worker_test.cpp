// SPDX-License-Identifier: Apache-2.0

// A Worker is a process that ends with its owner, whatever either of them does: how it ended is told once and
// again, and no zombie is left.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr ExitStatus kExitedWell{.exited = true};
constexpr ExitStatus kKilled{.signal = SIGKILL};
constexpr ExitStatus kUnknown{};

struct Life {
  std::atomic<bool> begun{false};
  std::atomic<bool> ended{false};
};

Worker start(std::string body, std::vector<std::string> arguments = {}, WorkerOptions options = {}) {
  std::vector<std::string> all{"--portolan-body", std::move(body)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Worker("/proc/self/exe", std::move(all), std::move(options));
}

bool runs(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

}  // namespace

PORTOLAN_BODY(exit_when_told) {
  MessagePort parent = parent_port();
  const Received received = parent.receive();
  return received ? 7 : 0;
}

PORTOLAN_BODY(echo_until_closed) {
  MessagePort parent = parent_port();
  while (Received received = parent.receive()) parent.post_message(received->text());
  return 0;
}

PORTOLAN_BODY(heed_nobody) {
  ::signal(SIGTERM, SIG_IGN);
  parent_port().post_message("deaf");  // and closed
  for (;;) ::pause();
}

PORTOLAN_BODY(live_while_parent_lives) {
  const SharedPage<Life> life(std::stoi(arguments[0]));
  MessagePort parent = parent_port();
  life->begun.store(true);
  static_cast<void>(parent.receive());
  life->ended.store(true);
  return 0;
}

PORTOLAN_BODY(tell_surroundings) {
  MessagePort parent = parent_port();
  const char* const variable = std::getenv("PORTOLAN_TEST_COLOUR");
  parent.post_message(std::string(variable != nullptr ? variable : "none"));
  char directory[4096];
  parent.post_message(std::string(::getcwd(directory, sizeof directory)));
  return static_cast<int>(arguments.size());
}

TEST_CASE("a worker's exit status is told, as often as it is asked for") {
  const PortCensus census;
  Worker worker = start("exit_when_told");
  CHECK(runs(worker.pid()));
  CHECK_FALSE(worker.wait_for(1ms).has_value());
  CHECK_FALSE(worker.wait_for(-1s).has_value());
  worker.post_message("exit");
  CHECK(worker.wait() == ExitStatus{.exited = true, .code = 7});
  CHECK(worker.wait() == ExitStatus{.exited = true, .code = 7});
  CHECK(worker.wait_for(0s) == ExitStatus{.exited = true, .code = 7});
  worker.terminate();
  CHECK(worker.receive().status() == ReceiveStatus::closed);
  CHECK_FALSE(runs(worker.pid()));
}

TEST_CASE("a worker that is terminated, and one that is killed from outside, say by which signal") {
  const PortCensus census;
  Worker terminated = start("exit_when_told"), killed = start("exit_when_told");
  terminated.terminate();
  CHECK(terminated.wait() == ExitStatus{.signal = SIGTERM});
  REQUIRE(::kill(killed.pid(), SIGKILL) == 0);
  CHECK(killed.wait() == kKilled);
  CHECK(killed.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a worker that was killed is started again in its place") {
  const PortCensus census;
  Worker worker;
  for (int life = 0; life < 3; ++life) {
    worker = start("echo_until_closed");
    worker.post_message("are you there?");
    CHECK(worker.receive_for(kPatience)->text() == "are you there?");
    REQUIRE(::kill(worker.pid(), SIGKILL) == 0);
    CHECK(worker.wait() == kKilled);
  }
  worker = start("echo_until_closed");
  const pid_t replaced = worker.pid();
  worker = start("echo_until_closed");  // a living one ends first
  CHECK_FALSE(runs(replaced));
  worker.post_message("the last one");
  CHECK(worker.receive_for(kPatience)->text() == "the last one");
}

TEST_CASE("a worker that heeds nobody is killed and reaped by its destructor") {
  const PortCensus census;
  pid_t pid = 0;
  {
    WorkerOptions options;
    options.grace = 0s;
    Worker worker = start("heed_nobody", {}, std::move(options));
    pid = worker.pid();
    CHECK(worker.receive_for(kPatience)->text() == "deaf");
    worker.terminate();
    CHECK(worker.receive().status() == ReceiveStatus::closed);
    CHECK_FALSE(worker.wait_for(1ms).has_value());
  }
  CHECK_FALSE(runs(pid));
}

TEST_CASE("a child that somebody else has reaped is no error") {
  const PortCensus census;
  {
    Worker worker = start("exit_when_told");
    worker.post_message("exit");
    REQUIRE(::waitpid(worker.pid(), nullptr, 0) == worker.pid());
    CHECK(worker.wait() == kUnknown);
    CHECK(worker.wait_for(0s) == kUnknown);
    worker.terminate();
  }
  Worker in_loop = start("exit_when_told");
  std::vector<ExitStatus> ends;
  in_loop.on_exit([&](ExitStatus status) { ends.push_back(status); });
  in_loop.post_message("exit");
  REQUIRE(::waitpid(in_loop.pid(), nullptr, 0) == in_loop.pid());
  EventLoop::current().run();
  CHECK(ends == std::vector{kUnknown});
}

TEST_CASE("a worker in a process that ignores its children ends without an error") {
  const PortCensus census;
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  {
    Worker worker = start("exit_when_told");
    worker.post_message("exit");
    CHECK(worker.wait() == kUnknown);
    const Worker forgotten = start("exit_when_told");
  }
  ::signal(SIGCHLD, before);
}

TEST_CASE("run() goes on until a worker has ended, and tells how, once") {
  const PortCensus census;
  std::vector<ExitStatus> ends;
  std::vector<std::string> got;
  {
    Worker worker = start("echo_until_closed");
    worker.on_exit([](ExitStatus) { FAIL("another handler was set"); });
    worker.on_exit([&](ExitStatus status) { ends.push_back(status); });
    worker.on_message<std::string>([&](std::string text) {
      got.push_back(std::move(text));
      worker.port().close();
    });
    worker.post_message("hello");
    EventLoop::current().run();
    CHECK(got == std::vector<std::string>{"hello"});
    CHECK(ends == std::vector{kExitedWell});
    EventLoop::current().run();
  }
  CHECK(ends.size() == 1);
}

TEST_CASE("a handler set after the worker has ended is still called, and may destroy the worker") {
  const PortCensus census;
  auto worker = std::make_unique<Worker>(start("exit_when_told"));
  worker->port().close();
  CHECK(worker->wait() == kExitedWell);
  int calls = 0;
  worker->on_exit([&] {
    ++calls;
    worker.reset();
  });
  EventLoop::current().run();
  CHECK(calls == 1);
  CHECK(worker == nullptr);
}

TEST_CASE("a worker that is unref'd does not keep run() from returning") {
  const PortCensus census;
  Worker worker = start("echo_until_closed");
  worker.on_exit([] { FAIL("it has not ended"); });
  worker.unref();
  EventLoop::current().run();
  CHECK(runs(worker.pid()));
  worker.on_exit([] {});
}

TEST_CASE("a worker belongs to the thread that started it") {
  const PortCensus census;
  Worker worker = start("echo_until_closed");
  std::thread([&] {
    CHECK_THROWS_AS(worker.on_exit([] {}), InvalidStateError);
    worker.post_message("from there");
    CHECK(worker.receive_for(kPatience)->text() == "from there");
    CHECK_FALSE(worker.wait_for(1ms).has_value());
  }).join();
  worker.on_exit([] {});
  worker.port().close();
  EventLoop::current().run();
  CHECK(worker.wait() == kExitedWell);
}

TEST_CASE("a worker outlives the thread that started it, and its loop") {
  const PortCensus census;
  Worker worker;
  std::thread([&] {
    worker = start("echo_until_closed");
    worker.on_exit([] { FAIL("that loop is gone"); });
  }).join();
  worker.post_message("still there?");
  CHECK(worker.receive_for(kPatience)->text() == "still there?");
  worker.port().close();
  CHECK(worker.wait() == kExitedWell);
}

TEST_CASE("a worker in a forked child is as if empty, and harms nobody there") {
  const PortCensus census;
  Worker worker = start("echo_until_closed");
  ChildProcess child = ChildProcess::fork([&] {
    for (int i = 0; i < 2; ++i) {
      try {
        static_cast<void>(i == 0 ? worker.wait_for(0s).has_value() : worker.port().is_open());
        return 1;
      } catch (const InvalidStateError&) {
      }
    }
    worker = Worker();
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  worker.post_message("unharmed");
  CHECK(worker.receive_for(kPatience)->text() == "unharmed");
}

TEST_CASE("a worker that is detached lives on, and is reaped by the next one") {
  SharedPage<Life> life;
  const PortCensus census;
  REQUIRE(::fcntl(life.descriptor(), F_SETFD, 0) == 0);
  MessageChannel hold;
  pid_t pid = 0;
  {
    WorkerOptions options;
    options.ports.emplace("hold", std::move(hold.port2));
    Worker worker = start("heed_nobody", {}, std::move(options));
    pid = worker.pid();
    CHECK(worker.receive_for(kPatience)->text() == "deaf");
    worker.detach();
  }
  CHECK(runs(pid));
  REQUIRE(::kill(pid, SIGKILL) == 0);
  CHECK(hold.port1.receive().status() == ReceiveStatus::closed);
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT) == 0);
  const Worker next = start("exit_when_told");
  CHECK_FALSE(runs(pid));
}

TEST_CASE("a worker ends with the process that started it, however that ends") {
  SharedPage<Life> life;
  const PortCensus census;
  REQUIRE(::fcntl(life.descriptor(), F_SETFD, 0) == 0);
  ChildProcess owner = ChildProcess::fork([&] {
    Worker worker = start("live_while_parent_lives", {std::to_string(life.descriptor())});
    static_cast<void>(worker.wait());
    return 1;
  });
  REQUIRE(wait_until([&] { return life->begun.load(); }));
  owner.kill_and_reap();
  CHECK(wait_until([&] { return life->ended.load(); }));
}

TEST_CASE("a worker has the arguments, the environment and the directory that it was given") {
  const PortCensus census;
  WorkerOptions options;
  options.environment["PORTOLAN_TEST_COLOUR"] = "teal";
  options.directory = "/";
  Worker worker = start("tell_surroundings", {"one", "two"}, std::move(options));
  CHECK(worker.receive_for(kPatience)->data<std::string>() == "teal");
  CHECK(worker.receive_for(kPatience)->data<std::string>() == "/");
  CHECK(worker.wait() == ExitStatus{.exited = true, .code = 2});
}

TEST_CASE("a worker that cannot be started leaves its options and their ports as they were") {
  const PortCensus census;
  MessageChannel data;
  data.port1.post_message("unread");
  WorkerOptions options;
  options.ports.emplace("work", std::move(data.port2));
  CHECK_THROWS_AS(Worker("./no-such-program", {}, std::move(options)), PortError);
  std::error_code error;
  const Worker refused("no-such-program-in-the-path", {}, std::move(options), error);
  CHECK(error == std::errc::no_such_file_or_directory);
  CHECK(refused.pid() == -1);
  options.directory = "/no-such-directory";
  std::string said;
  try {
    const Worker nowhere("/proc/self/exe", {}, std::move(options));
  } catch (const PortError& refusal) {
    said = refusal.what();
  }
  CHECK(said.starts_with("Worker(\"/proc/self/exe\"): No such file or directory; "));
  CHECK(said.find("the directory \"/no-such-directory\" exist") != std::string::npos);
  options.ports.emplace("parent", MessagePort());
  CHECK_THROWS_AS(Worker("/proc/self/exe", {}, std::move(options)), PortError);
  REQUIRE(options.ports.contains("work"));
  CHECK(options.ports.at("work").receive()->text() == "unread");
}

TEST_CASE("an empty worker says so") {
  const PortCensus census;
  Worker empty;
  CHECK(empty.pid() == -1);
  CHECK_THROWS_AS(static_cast<void>(empty.port()), InvalidStateError);
  CHECK_THROWS_AS(empty.post_message("x"), InvalidStateError);
  CHECK_THROWS_AS(empty.wait(), InvalidStateError);
  CHECK_THROWS_AS(empty.terminate(), InvalidStateError);
  CHECK_THROWS_AS(empty.detach(), InvalidStateError);
  CHECK_THROWS_AS(empty.on_exit([] {}), InvalidStateError);
}
