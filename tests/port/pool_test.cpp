// SPDX-License-Identifier: Apache-2.0

// A pool whose workers are asked in turn, may die, and are replaced.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

// As a worker that is writing its core file: the port has closed, and the process has not ended.
PORTOLAN_BODY(double_until_asked_to_hang) {
  MessagePort port = parent_port();
  bool hangs = false;
  port.on_message<int>([&](int number, MessageEvent& event) {
    if (number >= 0) return event.reply(number * 2);
    hangs = true;
    port.close();
  });
  EventLoop::current().run();
  while (hangs) ::pause();
  return 0;
}

TEST_CASE("a pool asks nobody whose port has closed, although he has the least to do") {
  const PortCensus census;
  WorkerPool pool(
      "/proc/self/exe",
      {.workers = 2, .arguments = {"--portolan-body", "double_until_asked_to_hang"}, .grace = 1ms});
  CHECK_THROWS_AS(static_cast<void>(pool.request(-1, {.timeout = kPatience}).get()), RequestError);
  for (int i = 0; i < 10; ++i) CHECK(pool.request(i, {.timeout = kPatience}).get().data<int>() == 2 * i);
  CHECK(pool.running() == 2);
}

PORTOLAN_BODY(double_until_killed) {
  MessagePort port = parent_port();
  port.on_message<int>([&](int number, MessageEvent& event) {
    if (number < 0) std::raise(SIGKILL);
    event.reply(number * 2);
  });
  EventLoop::current().run();
  return 0;
}

TEST_CASE("a pool starts a worker that has died again, and what it had not answered is closed") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe",
                    {.workers = 3, .arguments = {"--portolan-body", "double_until_killed"}});
    CHECK(pool.size() == 3);
    int answers = 0, closed = 0;
    const auto ask = [&](int number) {
      pool.request(number, {.timeout = kPatience})
          .on_reply(
              [&, number](MessageEvent& event) { answers += event.data<int>() == 2 * number ? 1 : 0; },
              [&](const RequestError& error) { closed += error.status() == ReplyStatus::closed ? 1 : 0; });
    };
    for (int round = 1; round <= 2; ++round) {
      for (int i = 0; i < 30; ++i) ask(i);
      ask(-1);
      REQUIRE(run_until([&] {
        return pool.restarts() >= static_cast<unsigned>(round) && pool.running() == 3 &&
               answers + closed >= 31 * round;
      }));
      CHECK(closed >= round);
    }
    const int before = answers;
    for (int i = 0; i < 30; ++i) ask(i);
    REQUIRE(run_until([&] { return answers >= before + 30; }));
    pool.close();
    CHECK(runs_out());
  }
}

// Answers with its process and the sum of what it was told besides.
PORTOLAN_BODY(add_up_what_is_told) {
  MessagePort port = parent_port();
  int sum = 0;
  port.on_message<int>([&](int number, MessageEvent& event) {
    if (number < 0) std::raise(SIGKILL);
    if (event.is_request()) return event.reply(std::vector{static_cast<int>(::getpid()), sum});
    sum += number;
  });
  EventLoop::current().run();
  return 0;
}

TEST_CASE("a pool hands each worker its part, and introduces those that it starts later") {
  const PortCensus census;
  WorkerPool pool("/proc/self/exe", {.workers = 3, .arguments = {"--portolan-body", "add_up_what_is_told"}});
  const auto ask = [&] {
    std::vector<Reply> replies;
    for (int i = 0; i < 3; ++i) replies.push_back(pool.request(0, {.timeout = kPatience}));
    std::map<int, int> sums;
    for (Reply& reply : replies) {
      const auto answer = reply.get().data<std::vector<int>>();
      sums.emplace(answer.at(0), answer.at(1));
    }
    return sums;
  };
  std::map<int, int> expected;
  pool.on_start([&](Worker& worker) { expected.emplace(worker.pid(), 0); });
  CHECK(ask() == expected);
  CHECK(expected.size() == 3);
  pool.post_to_all(5);
  for (auto& [worker, sum] : expected) sum += 5;
  CHECK(ask() == expected);
  CHECK_THROWS_AS(static_cast<void>(pool.request(-1, {.timeout = kPatience}).get()), RequestError);
  REQUIRE(run_until([&] { return pool.restarts() > 0; }));
  CHECK(expected.size() == 4);
  const std::map<int, int> after = ask();
  CHECK(after.size() == 3);
  for (const auto& [worker, sum] : after) CHECK(expected.at(worker) == sum);
  pool.close();
  CHECK(runs_out());
}

PORTOLAN_BODY(count_and_die) {
  MessagePort port = parent_port();
  Received asked = port.receive();
  if (!asked) return 0;
  const int count = asked->data<int>();
  for (int i = 0; i < count; ++i) port.post_message(i);
  std::raise(SIGKILL);
  return 0;
}

TEST_CASE("what a worker has posted before it died is received, although it is replaced") {
  const PortCensus census;
  constexpr int kMessages = 5000;
  WorkerPool pool("/proc/self/exe", {.workers = 1, .arguments = {"--portolan-body", "count_and_die"}});
  int next = 0, first = 0;
  pool.on_start([&](Worker& worker) {
    if (first == 0) first = worker.pid();
    worker.port().on_message<int>([&](int number) { next += number == next ? 1 : 0; });
  });
  pool.post_to_all(kMessages);
  REQUIRE(wait_until([&] {
    std::ifstream file("/proc/" + std::to_string(first) + "/stat");
    std::string line;
    return !std::getline(file, line) || line.find(") Z ") != std::string::npos;
  }));
  REQUIRE(run_until([&] { return pool.restarts() > 0 && next >= kMessages; }));
  CHECK(next == kMessages);
  pool.close();
  CHECK(runs_out());
}

PORTOLAN_BODY(end_with_seven) {
  return 7;
}

TEST_CASE("a pool tells how each worker has ended, whoever listens besides, and starts it again") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe", {.workers = 1, .arguments = {"--portolan-body", "end_with_seven"}});
    int started = 0, ended = 0;
    pool.on_start([&](Worker& worker) {
      ++started;
      worker.on_exit([] {});  // takes nothing away from the pool
    });
    pool.on_exit([&](Worker& worker, ExitStatus status) {
      CHECK(worker.pid() > 0);
      CHECK(status.code == 7);
      ++ended;
    });
    REQUIRE(run_until([&] { return pool.restarts() >= 3; }));
    CHECK(started >= 4);
    CHECK(ended >= 3);
    pool.close();
    CHECK(runs_out());
  }
}

TEST_CASE(
    "who waits for a pool whose only worker has died is called once another one is there, and one that is "
    "there at once") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe",
                    {.workers = 1, .arguments = {"--portolan-body", "double_until_killed"}});
    bool there = false;
    pool.when_available([&] { there = true; });
    REQUIRE(run_until([&] { return there; }));
    CHECK(pool.restarts() == 0);
    int refused = 0, answer = 0;
    pool.request(-1, {.timeout = kPatience})
        .on_reply([] {},
                  [&](const RequestError&) {
                    ++refused;
                    pool.when_available([&] {
                      pool.request(21, {.timeout = kPatience}).on_reply<int>([&](int doubled) {
                        answer = doubled;
                      });
                    });
                  });
    REQUIRE(run_until([&] { return answer != 0; }));
    CHECK(answer == 42);
    CHECK(refused == 1);
    CHECK(pool.restarts() == 1);
    pool.close();
    CHECK(runs_out());
  }
}

TEST_CASE("a pool that is closed by whoever hears that a worker has ended starts none any more") {
  const PortCensus census;
  WorkerPool pool("/proc/self/exe", {.workers = 1, .arguments = {"--portolan-body", "end_with_seven"}});
  pool.on_exit([&](Worker&, ExitStatus) { pool.close(); });
  CHECK(runs_out());
  CHECK(pool.restarts() == 0);
}

TEST_CASE(
    "a worker that has lived long is replaced at once, and another one after a pause, which close() ends") {
  const PortCensus census;
  for (const bool steady : {true, false}) {
    CAPTURE(steady);
    WorkerPool pool("/proc/self/exe", {.workers = 1,
                                       .arguments = {"--portolan-body", "double_until_killed"},
                                       .steady = steady ? 0s : 3600s,
                                       .pause = 1h,
                                       .longest_pause = 1h,
                                       .grace = 1ms});
    CHECK_THROWS_AS(static_cast<void>(pool.request(-1, {.timeout = kPatience}).get()), RequestError);
    REQUIRE(run_until([&] { return steady ? pool.restarts() != 0 : pool.running() != 1; }));
    if (!steady) {
      EventLoop::current().run_for(5ms);
      CHECK(pool.restarts() == 0);
      Reply nobody = pool.request(1);
      CHECK(nobody.status() == ReplyStatus::detached);
    }
    pool.close();
    CHECK(runs_out());
  }
}

TEST_CASE("a worker that cannot be started for a while is there once it can be") {
  const PortCensus census;
  char made[] = "/tmp/portolan-pool-XXXXXX";
  REQUIRE(::mkdtemp(made) != nullptr);
  const std::filesystem::path directory(made), program = directory / "worker";
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  std::filesystem::create_symlink(self, program);
  WorkerPool pool(program, {.workers = 1,
                            .arguments = {"--portolan-body", "double_until_killed"},
                            .pause = 1ms,
                            .longest_pause = 1ms});
  std::filesystem::remove(program);
  CHECK_THROWS_AS(static_cast<void>(pool.request(-1, {.timeout = kPatience}).get()), RequestError);
  REQUIRE(run_until([&] { return pool.running() == 0; }));
  EventLoop::current().run_for(20ms);
  CHECK(pool.restarts() == 0);
  std::filesystem::create_symlink(self, program);
  bool there = false;
  pool.when_available([&] { there = true; });
  REQUIRE(run_until([&] { return there; }));
  CHECK(pool.restarts() == 1);
  CHECK(pool.request(4, {.timeout = kPatience}).get().data<int>() == 8);
  std::filesystem::remove_all(directory);
  pool.close();
  CHECK(runs_out());
}
