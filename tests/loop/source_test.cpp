// SPDX-License-Identifier: Apache-2.0

// How the loop serves its sources: fairly, bounded, whatever they do to each other, and asleep when they are.
#include <algorithm>
#include <chrono>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <portolan/event_loop.hpp>

#include "loop/fake_source.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace std::chrono_literals;
using portolan::testing::FakeSource;
using portolan::testing::wait_until;

namespace {

// Where a turn begins depends on the turns before it.
template <class F>
void on_a_fresh_loop(F body) {
  std::thread(body).join();
}

}  // namespace

TEST_CASE("one flooding source gets 64 messages a turn, and neither timers nor others starve") {
  EventLoop& loop = EventLoop::current();
  FakeSource flood;
  FakeSource modest;
  flood.attach();
  modest.attach();
  bool timer_ran = false;
  bool modest_served = false;
  flood.on_message = [&](std::size_t) { flood.publish(); };
  modest.on_message = [&](std::size_t) { modest_served = true; };
  loop.set_timeout(0ns, [&] { timer_ran = true; });
  flood.publish(1000);
  modest.publish();
  CHECK(loop.poll() == 64 + 1 + 1);
  CHECK(timer_ran);
  CHECK(modest_served);
  loop.poll();
  CHECK(flood.served == std::vector<std::size_t>{64, 64});
}

TEST_CASE("run_one takes sources in turn") {
  on_a_fresh_loop([] {
    EventLoop& loop = EventLoop::current();
    std::string log;
    std::vector<std::unique_ptr<FakeSource>> sources(3);
    for (char name = 'a'; auto& source : sources) {
      source = std::make_unique<FakeSource>();
      source->on_message = [&log, name](std::size_t) { log += name; };
      source->attach();
      source->publish(2);
      ++name;
    }
    for (int i = 0; i < 6; ++i) CHECK(loop.run_one());
    CHECK(log == "abcabc");
  });
}

TEST_CASE("a source may detach or destroy itself and others while it is served") {
  on_a_fresh_loop([] {
    EventLoop& loop = EventLoop::current();
    std::vector<std::unique_ptr<FakeSource>> sources(4);
    std::string log;
    for (auto& source : sources) {
      source = std::make_unique<FakeSource>();
      source->attach();
      source->publish(2);
    }
    sources[0]->on_message = [&](std::size_t number) {
      log += 'a';
      if (number == 0) sources[2].reset();
    };
    sources[1]->on_message = [&](std::size_t) {
      log += 'b';
      sources[1]->detach();
    };
    sources[2]->on_message = [&](std::size_t) { log += 'x'; };
    sources[3]->on_message = [&](std::size_t number) {
      log += 'd';
      if (number == 1) sources[0].reset();
    };
    loop.poll();
    CHECK(log == "aabbdd");
    loop.poll();
    CHECK(log == "aabbdd");
    sources.clear();
    loop.run();
  });
}

TEST_CASE("a source attached by a listener is served from the next turn on") {
  EventLoop& loop = EventLoop::current();
  FakeSource first;
  std::vector<std::unique_ptr<FakeSource>> more;
  int served = 0;
  first.attach();
  first.publish();
  first.on_message = [&](std::size_t) {
    for (int i = 0; i < 100; ++i) {
      auto& source = *more.emplace_back(std::make_unique<FakeSource>());
      source.on_message = [&](std::size_t) { ++served; };
      source.publish();
      source.attach();
    }
  };
  CHECK(loop.poll() == 1);
  CHECK(loop.poll() == 100);
  CHECK(served == 100);
}

TEST_CASE("run goes on while a source keeps it alive, and not for one that does not") {
  EventLoop& loop = EventLoop::current();
  FakeSource needed;
  FakeSource unneeded;
  needed.attach();
  unneeded.attach();
  unneeded.alive = false;
  loop.set_timeout(1ms, [&] { needed.publish(); });
  needed.on_message = [&](std::size_t) { needed.alive = false; };
  loop.run();
  CHECK(needed.taken() == 1);
}

TEST_CASE("a sleeping source is woken through its descriptor, and only that one") {
  EventLoop& loop = EventLoop::current();
  FakeSource busy;
  FakeSource idle;
  busy.attach();
  idle.attach();
  busy.on_message = [&](std::size_t number) {
    if (number == 2) busy.alive = idle.alive = false;
  };
  // The publisher of each message waits until the source sleeps.
  const auto publish_when_asleep = [&](auto& self, int after) -> void {
    if (busy.sleeps <= after) {
      loop.set_timeout(100us, [&, after] { self(self, after); });
      return;
    }
    busy.publish();
    if (after < 2) loop.set_timeout(100us, [&, after] { self(self, after + 1); });
  };
  publish_when_asleep(publish_when_asleep, 0);
  loop.run();
  CHECK(busy.taken() == 3);
  CHECK(busy.awakenings == 3);
  CHECK(idle.sleeps == 1);
  CHECK(idle.awakenings == 0);
}

TEST_CASE("what is published between the announcement and the barrier is seen by the look behind it") {
  port::SourceTable table;
  FakeSource source;
  FakeSource quiet;
  source.lose_wakes = true;
  const port::SourceId id = table.add(source, -1);
  table.add(quiet, -1);
  table.announce_sleep();
  source.publish();
  CHECK_FALSE(table.settle());
  CHECK(table.awake() == std::vector{id});
  CHECK(quiet.awakenings == 0);
}

TEST_CASE("a source that refuses to sleep stays awake and is not announced") {
  port::SourceTable table;
  FakeSource source;
  table.add(source, -1);
  source.publish();
  table.announce_sleep();
  CHECK_FALSE(table.announced());
  CHECK_FALSE(table.settle());
  CHECK(source.awakenings == 0);
}

TEST_CASE("the id of a source that is gone finds nothing, also when its place is taken again") {
  port::SourceTable table;
  FakeSource first;
  FakeSource second;
  const port::SourceId id = table.add(first, 7);
  CHECK(table.find(id) == &first);
  CHECK(table.remove(id) == 7);
  CHECK(table.remove(id) == -1);
  const port::SourceId next = table.add(second, 8);
  CHECK(table.find(id) == nullptr);
  CHECK(table.find(next) == &second);
  table.wake(id);
  CHECK(second.awakenings == 0);
  CHECK(table.find(port::SourceId::none) == nullptr);
}

TEST_CASE("of many sleepers some are looked at, and the next ones the next time") {
  port::SourceTable table;
  FakeSource sources[5];
  for (FakeSource& source : sources) static_cast<void>(table.add(source, -1));
  table.announce_sleep();
  CHECK(table.settle());
  const auto looked_at = [&](std::size_t most) {
    for (FakeSource& source : sources) source.looks = 0;
    table.look_at_sleepers(most);
    std::string looks;
    for (const FakeSource& source : sources) looks += std::to_string(source.looks.load());
    return looks;
  };
  CHECK(looked_at(2) == "11000");
  CHECK(looked_at(2) == "00110");
  CHECK(looked_at(2) == "10001");
  CHECK(looked_at(100) == "11111");
}

TEST_CASE("a lost wake is found at the latest when the sleepers are looked at") {
  EventLoop& loop = EventLoop::current();
  FakeSource source;
  source.attach();
  source.lose_wakes = true;
  source.on_message = [&](std::size_t) { source.alive = false; };
  loop.set_timeout(1ms, [&] { source.publish(); });
  loop.run();
  CHECK(source.taken() == 1);
}

TEST_CASE("what a source throws comes out of run, and the others are served") {
  EventLoop& loop = EventLoop::current();
  FakeSource bad;
  FakeSource good;
  bad.attach();
  good.attach();
  bad.alive = good.alive = false;
  bad.on_message = [](std::size_t) { throw std::runtime_error("bad"); };
  bad.publish();
  good.publish();
  CHECK_THROWS_WITH(loop.run(), "bad");
  CHECK(good.taken() == 1);
}

namespace {

// A loop that polls for that long gets three messages, each one when `when` holds for their source.
template <class When>
int sleeps_of_a_loop_that_polls(std::chrono::nanoseconds longest, When when) {
  int sleeps = 0;
  on_a_fresh_loop([&] {
    EventLoop& loop = EventLoop::current();
    loop.set_busy_poll(longest);
    FakeSource source;
    source.attach();
    source.on_message = [&](std::size_t number) {
      if (number == 2) loop.stop();
    };
    std::thread publisher([&] {
      for (int i = 0; i < 3; ++i) {
        const int looked = source.looks;
        CHECK(wait_until([&] { return when(source, i, looked); }));
        source.publish();
      }
    });
    loop.run();
    publisher.join();
    sleeps = source.sleeps;
  });
  return sleeps;
}

}  // namespace

TEST_CASE("a loop that polls busily finds what another thread publishes without a sleep") {
  const auto looks_on = [](FakeSource& source, int, int looked) { return source.looks > looked + 100; };
  CHECK(sleeps_of_a_loop_that_polls(1h, looks_on) == 0);
}

TEST_CASE("a loop that does not poll at all sleeps between any two messages") {
  const auto asleep = [](FakeSource& source, int number, int) { return source.sleeps > number; };
  CHECK(sleeps_of_a_loop_that_polls(0ns, asleep) >= 3);
}
