// SPDX-License-Identifier: Apache-2.0

// The loop and other threads: posting, stopping, publishing, and ends in every order.
#include <array>
#include <atomic>
#include <chrono>
#include <doctest/doctest.h>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>

#include "loop/fake_source.hpp"
#include "support/resource_census.hpp"

using namespace portolan;
using namespace std::chrono_literals;
using portolan::testing::FakeSource;

TEST_CASE("posts of four threads all arrive, each thread's in its order") {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  EventLoop& loop = EventLoop::current();
  std::optional<port::LoopHold> hold(loop);
  std::array<int, kThreads> next{};
  int total = 0;
  bool in_order = true;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kPosts; ++i) {
        loop.post([&, thread, i] {
          in_order = in_order && next[thread]++ == i;
          if (++total == kThreads * kPosts) hold.reset();
        });
        if (i % 50 == 0) std::this_thread::yield();
      }
    });
  }
  loop.run();
  for (std::thread& thread : threads) thread.join();
  CHECK(total == kThreads * kPosts);
  CHECK(in_order);
}

TEST_CASE("a post wakes a sleeping loop, every time") {
  EventLoop& loop = EventLoop::current();
  const port::LoopHold hold(loop);
  std::thread poster([&] {
    for (int i = 0; i < 200; ++i) {
      std::promise<void> done;
      loop.post([&] { done.set_value(); });
      done.get_future().wait();
    }
    loop.stop();
  });
  loop.run();
  poster.join();
  CHECK_FALSE(poster.joinable());
}

TEST_CASE("messages published by another thread arrive, whether the loop is busy, spinning or asleep") {
  EventLoop& loop = EventLoop::current();
  constexpr std::size_t kMessages = 3000;
  FakeSource source;
  source.attach();
  source.on_message = [&](std::size_t number) { source.alive = number + 1 != kMessages; };
  std::thread publisher([&] {
    for (std::size_t i = 0; i < kMessages; ++i) {
      source.publish();
      if (i % 1000 == 999) std::this_thread::sleep_for(1ms);  // lets it fall asleep; nothing depends on it
      if (i % 100 == 99) std::this_thread::yield();
    }
  });
  loop.run();
  publisher.join();
  CHECK(source.taken() == kMessages);
}

TEST_CASE("a loop that ends with its thread drops what it had, and a source outlives it") {
  const testing::ResourceCensus census;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = owned;
  FakeSource source;
  EventLoop* loop = nullptr;
  std::promise<void> made;
  std::promise<void> may_end;
  std::thread thread([&] {
    loop = &EventLoop::current();
    source.attach();
    loop->poll();
    loop->post([owned] {});
    loop->set_timeout(1h, [owned = std::move(owned)] {});
    made.set_value();
    may_end.get_future().wait();
  });
  made.get_future().wait();
  CHECK_FALSE(watched.expired());
  may_end.set_value();
  thread.join();
  CHECK(watched.expired());
  source.publish();
  source.detach();
}

TEST_CASE("a source that is destroyed after its thread's loop does no harm") {
  const testing::ResourceCensus census;
  std::thread([] {
    static thread_local std::optional<FakeSource> source;  // made before the loop, destroyed after it
    source.emplace();
    source->attach();
    EventLoop::current().poll();
  }).join();
}

TEST_CASE("what runs at the end of a thread, after its loop, meets one that does nothing") {
  struct UsesLoopLate {
    bool* dropped = nullptr;
    bool* ran = nullptr;
    ~UsesLoopLate() {
      EventLoop& loop = EventLoop::current();
      auto owned = std::make_shared<int>(1);
      const std::weak_ptr<int> watched = owned;
      loop.post([this, owned] { *ran = true; });
      loop.set_timeout(0ns, [this, owned = std::move(owned)] { *ran = true; });
      FakeSource source;
      source.attach();
      loop.run();
      *dropped = watched.expired();
    }
  };
  bool dropped = false;
  bool ran = false;
  std::thread([&] {
    static thread_local UsesLoopLate late;
    late.dropped = &dropped;
    late.ran = &ran;
    EventLoop::current().poll();
  }).join();
  CHECK(dropped);
  CHECK_FALSE(ran);
}

#ifndef NDEBUG
TEST_CASE("a debug build refuses to use another thread's loop") {
  EventLoop& loop = EventLoop::current();
  std::thread([&] {
    CHECK_THROWS_AS(loop.set_timeout(0ns, [] {}), InvalidStateError);
    CHECK_THROWS_AS(loop.run(), InvalidStateError);
    CHECK_THROWS_AS(loop.set_busy_poll(0ns), InvalidStateError);
  }).join();
}
#endif
