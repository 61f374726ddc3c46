// SPDX-License-Identifier: Apache-2.0

// close() from another thread, while the port's own thread is doing something with it.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include <portolan/portolan.hpp>

#include "ring/random_seed.hpp"
#include "support/condition.hpp"
#include "support/resource_census.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kClosings = 300;

// Sleeping for this long in front of a close puts it anywhere in what the other thread does.
std::chrono::microseconds some_time(Dice& dice) {
  return std::chrono::microseconds(dice.roll(0, 150));
}

}  // namespace

TEST_CASE("a close from another thread ends a port in a loop once, and its peer is told") {
  Dice dice(random_seed());
  const ResourceCensus census;
  for (int round = 0; round < kClosings; ++round) {
    MessageChannel channel;
    std::atomic<bool> bound{false};
    std::thread serving([&] {
      channel.port2.on_message([](MessageEvent&) {});
      bound.store(true);
      EventLoop::current().run();
    });
    channel.port1.post_message("one");
    if (dice.one_in(2)) std::this_thread::sleep_for(some_time(dice));
    while (!bound.load()) std::this_thread::yield();
    channel.port2.close();
    CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
    serving.join();
  }
}

TEST_CASE(
    "a close from another thread while a port is being bound to a loop leaves no loop behind that waits") {
  Dice dice(random_seed());
  const ResourceCensus census;
  for (int round = 0; round < kClosings; ++round) {
    MessageChannel channel;
    std::atomic<bool> going{false};
    std::thread serving([&] {
      EventLoop& loop = EventLoop::current();
      going.store(true);
      channel.port2.on_message([](MessageEvent&) {});
      loop.run();
    });
    while (!going.load()) std::this_thread::yield();
    if (dice.one_in(2)) std::this_thread::sleep_for(std::chrono::microseconds(dice.roll(0, 30)));
    channel.port2.close();
    serving.join();
    CHECK(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  }
}

TEST_CASE("of many threads that close a port at once one does it, in the middle of posts and receives") {
  Dice dice(random_seed());
  const ResourceCensus census;
  for (int round = 0; round < kClosings; ++round) {
    MessageChannel channel;
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      while (channel.port1.try_post_message("x") != PostResult::closed) std::this_thread::yield();
    });
    threads.emplace_back([&] {
      while (channel.port1.receive().status() != ReceiveStatus::closed) {
      }
    });
    std::this_thread::sleep_for(some_time(dice));
    for (int closers = 0; closers < 2; ++closers) threads.emplace_back([&] { channel.port1.close(); });
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(channel.port1.is_open());
    while (channel.port2.receive_for(kPatience).status() == ReceiveStatus::message) {
    }
    CHECK_FALSE(channel.port2.is_open());
  }
}

TEST_CASE("a close wakes a thread that waits for room and one that waits for messages") {
  const ResourceCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  while (channel.port1.try_post_message(std::vector<std::byte>(1000)) == PostResult::posted) {
  }
  // What a large message in a file of its own takes of the ring is little.
  while (channel.port1.try_post_message("x") == PostResult::posted) {
  }
  PostResult posted{};
  ReceiveStatus received{};
  std::thread posting(
      [&] { posted = channel.port1.post_message_for(kPatience, std::vector<std::byte>(20'000)); });
  std::thread receiving([&] { received = channel.port1.receive_for(kPatience).status(); });
  std::this_thread::sleep_for(1ms);
  channel.port1.close();
  posting.join();
  receiving.join();
  CHECK(posted == PostResult::closed);
  CHECK(received == ReceiveStatus::closed);
}
