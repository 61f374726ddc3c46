// SPDX-License-Identifier: Apache-2.0

// Timers: the order on a clock of the test's own, and the loop's use of them.
#include <chrono>
#include <doctest/doctest.h>
#include <string>
#include <utility>

#include <portolan/event_loop.hpp>

#include "port/timers.hpp"

using namespace portolan;
using namespace std::chrono_literals;

namespace {

// Runs what is due, as a turn of the loop does.
std::string run(port::Timers& timers, std::int64_t now_ns, std::string& log) {
  log.clear();
  const auto mark = timers.mark();
  while (auto due = timers.take_due(now_ns, mark)) {
    due->task();
    timers.give_back(std::move(*due));
  }
  return log;
}

}  // namespace

TEST_CASE("timers run in the order of their deadlines, equal ones in the order they were set") {
  port::Timers timers;
  std::string log;
  timers.set(30, 0, [&] { log += 'c'; });
  timers.set(10, 0, [&] { log += 'a'; });
  timers.set(30, 0, [&] { log += 'd'; });
  timers.set(20, 0, [&] { log += 'b'; });
  CHECK(timers.next_deadline_ns() == 10);
  CHECK(run(timers, 9, log).empty());
  CHECK(run(timers, 20, log) == "ab");
  CHECK(run(timers, 1000, log) == "cd");
  CHECK(timers.empty());
}

TEST_CASE("a timer set by a timer waits for the next turn, even if it is due") {
  port::Timers timers;
  std::string log;
  timers.set(10, 0, [&] {
    log += 'a';
    timers.set(5, 0, [&] { log += 'n'; });
  });
  timers.set(10, 0, [&] { log += 'b'; });
  CHECK(run(timers, 10, log) == "a");
  CHECK(run(timers, 10, log) == "nb");
}

TEST_CASE("an interval keeps step with its first deadline, and does not make up for what it missed") {
  port::Timers timers;
  std::string log;
  timers.set(100, 100, [&] { log += 'i'; });
  CHECK(run(timers, 130, log) == "i");
  CHECK(timers.next_deadline_ns() == 200);
  CHECK(run(timers, 750, log) == "i");
  CHECK(timers.next_deadline_ns() == 850);
}

TEST_CASE("a cleared timer does not run, cleared by another timer or by itself") {
  port::Timers timers;
  std::string log;
  TimerId interval{};
  TimerId other{};
  interval = timers.set(10, 10, [&, own = std::string("a long enough string to live on the heap")] {
    timers.clear(interval);
    timers.clear(other);
    log += own[0];
  });
  other = timers.set(10, 0, [&] { log += 'x'; });
  CHECK(run(timers, 10, log) == "a");
  CHECK(timers.empty());
  timers.clear(interval);
  timers.clear(TimerId{12345});
}

TEST_CASE("the loop runs timers by their deadlines and returns when none is left") {
  EventLoop& loop = EventLoop::current();
  std::string log;
  loop.set_timeout(3ms, [&] { log += 'c'; });
  loop.set_timeout(1ms, [&] { log += 'b'; });
  loop.set_timeout(0ns, [&] { log += 'a'; });
  const TimerId never = loop.set_timeout(2ms, [&] { log += 'x'; });
  loop.clear(never);
  loop.run();
  CHECK(log == "abc");
}

TEST_CASE("an interval runs until it is cleared, and may clear itself") {
  EventLoop& loop = EventLoop::current();
  int ticks = 0;
  TimerId id{};
  id = loop.set_interval(100us, [&] {
    if (++ticks == 5) loop.clear(id);
  });
  loop.run();
  CHECK(ticks == 5);
}

TEST_CASE("a timer too far away to be added to the clock is simply far away") {
  EventLoop& loop = EventLoop::current();
  bool ran = false;
  const TimerId id = loop.set_timeout(std::chrono::nanoseconds::max(), [&] { ran = true; });
  loop.poll();
  CHECK_FALSE(ran);
  loop.clear(id);
  loop.run();
}

TEST_CASE("timers of no length that set each other starve no tasks") {
  EventLoop& loop = EventLoop::current();
  bool posted_ran = false;
  int rounds = 0;
  const auto rearm = [&](auto& self) -> void {
    if (posted_ran) return;
    if (++rounds == 3) loop.post([&] { posted_ran = true; });
    loop.set_timeout(0ns, [&] { self(self); });
  };
  rearm(rearm);
  loop.run();
  CHECK(posted_ran);
}
