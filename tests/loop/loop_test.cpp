// SPDX-License-Identifier: Apache-2.0

// The loop on one thread: tasks, its ends, exceptions, signals, and as a descriptor in somebody else's loop.
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>

#include "loop/fake_source.hpp"
#include "port/loop_access.hpp"

using namespace portolan;
using namespace std::chrono_literals;
using portolan::testing::FakeSource;

namespace {

bool readable(int descriptor, int timeout_ms = 0) {
  pollfd entry{descriptor, POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

}  // namespace

TEST_CASE("a loop with nothing to do returns at once") {
  EventLoop& loop = EventLoop::current();
  loop.run();
  CHECK_FALSE(loop.run_one());
  CHECK(loop.poll() == 0);
  loop.run_for(1h);
}

TEST_CASE("tasks run in the order of their posts; one posted by a task runs in a later turn") {
  EventLoop& loop = EventLoop::current();
  std::string log;
  loop.post([&] {
    log += 'a';
    loop.post([&] { log += 'c'; });
  });
  loop.post([&] { log += 'b'; });
  CHECK(loop.poll() == 2);
  CHECK(log == "ab");
  loop.run();
  CHECK(log == "abc");
}

TEST_CASE("a task that posts itself for ever starves no timer") {
  EventLoop& loop = EventLoop::current();
  bool ran = false;
  const auto again = [&](auto& self) -> void {
    if (!ran) loop.post([&] { self(self); });
  };
  again(again);
  loop.set_timeout(0ns, [&] { ran = true; });
  loop.run();
  CHECK(ran);
}

TEST_CASE("run_one handles one thing at a time, and each kind has its turn") {
  EventLoop& loop = EventLoop::current();
  FakeSource source;
  source.attach();
  source.alive = false;
  std::string log;
  source.on_message = [&](std::size_t) { log += 'm'; };
  source.publish(2);
  for (int i = 0; i < 2; ++i) loop.post([&] { log += 't'; });
  for (int i = 0; i < 2; ++i) loop.set_timeout(0ns, [&] { log += 'i'; });
  for (std::size_t i = 1; i <= 6; ++i) {
    CHECK(loop.run_one());
    CHECK(log.size() == i);
  }
  CHECK(log == "timtim");
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("stop ends the run in progress after its turn, or the next one, once") {
  EventLoop& loop = EventLoop::current();
  int ticks = 0;
  const TimerId id = loop.set_interval(1us, [&] {
    ++ticks;
    loop.stop();
  });
  loop.run();
  CHECK(ticks == 1);
  loop.stop();
  loop.run();
  CHECK(ticks == 1);
  loop.run();
  CHECK(ticks == 2);
  loop.clear(id);
}

TEST_CASE("run_for returns although there is something to wait for") {
  EventLoop& loop = EventLoop::current();
  FakeSource source;
  source.attach();
  loop.run_for(2ms);
  loop.run_for(-1s);
  CHECK(source.alive);
}

TEST_CASE("a hold keeps run going until it is released") {
  EventLoop& loop = EventLoop::current();
  std::optional<port::LoopHold> hold(loop);
  bool ran = false;
  loop.set_timeout(1ms, [&] {
    loop.set_timeout(1ms, [&] {
      ran = true;
      hold.reset();
    });
  });
  loop.run();
  CHECK(ran);
}

TEST_CASE(
    "without a handler the first exception of a turn comes out of run, after the turn, and run goes on") {
  EventLoop& loop = EventLoop::current();
  std::string log;
  loop.post([&] { throw std::runtime_error("first"); });
  loop.post([&] { log += 'b'; });
  loop.post([&] { throw std::runtime_error("second"); });
  loop.set_timeout(0ns, [&] {
    log += 'i';
    throw std::runtime_error("third");
  });
  loop.post([&] { loop.post([&] { log += 'n'; }); });
  CHECK_THROWS_WITH(loop.run(), "first");
  CHECK(log == "bi");
  loop.run();
  CHECK(log == "bin");
}

TEST_CASE("an exception handler takes all of them; what it throws itself comes out") {
  EventLoop& loop = EventLoop::current();
  std::string log;
  loop.set_exception_handler([&](const std::exception_ptr& exception) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::runtime_error& error) {
      log += error.what();
    }
  });
  loop.post([] { throw std::runtime_error("1"); });
  loop.post([] { throw std::runtime_error("2"); });
  loop.run();
  CHECK(log == "12");
  loop.set_exception_handler([](const std::exception_ptr&) { throw std::logic_error("handler"); });
  loop.post([] { throw std::runtime_error("3"); });
  CHECK_THROWS_WITH(loop.run(), "handler");
  loop.set_exception_handler({});
}

TEST_CASE("a turn of somebody else's loop collects exceptions as run does") {
  port::Turn turn;
  CHECK(port::report(std::make_exception_ptr(std::runtime_error("first"))));
  CHECK(port::report(std::make_exception_ptr(std::runtime_error("second"))));
  CHECK_THROWS_WITH(turn.end(), "first");
  CHECK_FALSE(port::report(std::make_exception_ptr(std::runtime_error("nobody's"))));
}

TEST_CASE("a loop is not run from what it calls") {
  EventLoop& loop = EventLoop::current();
  loop.post([&] { loop.run(); });
  CHECK_THROWS_AS(loop.run(), InvalidStateError);
  loop.post([] {});
  CHECK(loop.poll() == 1);
}

TEST_CASE("a signal calls its handler in a turn, and alone keeps no loop running") {
  EventLoop& loop = EventLoop::current();
  int signals = 0;
  loop.on_signal(SIGUSR1, [&](int signal) {
    CHECK(signal == SIGUSR1);
    ++signals;
  });
  loop.run();
  loop.set_timeout(0ns, [] { ::raise(SIGUSR1); });
  const TimerId guard = loop.set_timeout(1h, [] {});
  while (signals == 0) loop.run_one();
  CHECK(signals == 1);
  loop.on_signal(SIGUSR1, [&] { signals += 10; });
  ::raise(SIGUSR1);
  while (signals == 1) loop.run_one();
  CHECK(signals == 11);
  loop.clear(guard);
  CHECK_THROWS_AS(loop.on_signal(SIGKILL, [] {}), PortError);
  CHECK_THROWS_AS(loop.on_signal(1000, [] {}), PortError);
}

TEST_CASE("the descriptor of a loop is readable exactly while poll has something to do") {
  EventLoop& loop = EventLoop::current();
  FakeSource source;
  source.attach();
  const int handle = loop.native_handle();
  while (loop.poll() != 0 || readable(handle)) {
  }
  CHECK_FALSE(readable(handle));

  SUBCASE("messages, more than a turn's worth") {
    source.publish(100);
    CHECK(readable(handle));
    CHECK(loop.poll() == 64);
    CHECK(readable(handle));
    CHECK(loop.poll() == 36);
  }
  SUBCASE("tasks") {
    loop.post([&] { loop.post([] {}); });
    CHECK(readable(handle));
    CHECK(loop.poll() == 1);
    CHECK(readable(handle));
    CHECK(loop.poll() == 1);
  }
  SUBCASE("timers") {
    bool ran = false;
    loop.set_timeout(2ms, [&] { ran = true; });
    while (!ran) {
      CHECK(readable(handle, -1));
      loop.poll();
    }
  }
  SUBCASE("a source that comes with messages") {
    FakeSource other;
    other.publish();
    other.attach();
    CHECK(readable(handle));
    CHECK(loop.poll() == 1);
  }
  SUBCASE("a listener that throws") {
    source.on_message = [](std::size_t) { throw std::runtime_error("thrown"); };
    source.publish(1);
    CHECK_THROWS_WITH(loop.poll(), "thrown");
  }
  CHECK_FALSE(readable(handle));
}

TEST_CASE("a forked child starts with an empty loop and leaves the parent's alone") {
  EventLoop& loop = EventLoop::current();
  FakeSource source;
  source.attach();
  const int handle = loop.native_handle();
  loop.poll();
  while (readable(handle)) loop.poll();  // until the source sleeps
  bool ran = false;
  loop.set_timeout(0ns, [&] { ran = true; });
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool own = false;
    source.detach();  // would remove the parent's registration, too
    EventLoop::current().post([&] { own = true; });
    EventLoop::current().run();
    ::_exit(own && !ran ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  while (!ran || readable(handle)) loop.poll();
  source.publish();
  CHECK(readable(handle));
  CHECK(loop.poll() == 1);
}
