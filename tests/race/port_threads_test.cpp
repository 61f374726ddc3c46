// SPDX-License-Identifier: Apache-2.0

// Ports in several threads of one process: one thread of an end posts, one receives, and they sleep.
#include <chrono>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <thread>
#include <vector>

#include <portolan/portolan.hpp>

#include "ring/random_seed.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

// A message names itself at its beginning and at its end.
std::vector<std::byte> message_of(std::uint64_t number, std::size_t bytes) {
  std::vector<std::byte> message(bytes + 2 * sizeof number);
  std::memcpy(message.data(), &number, sizeof number);
  std::memcpy(message.data() + message.size() - sizeof number, &number, sizeof number);
  return message;
}
bool is_message(std::span<const std::byte> message, std::uint64_t number) {
  return message.size() >= 2 * sizeof number && std::memcmp(message.data(), &number, sizeof number) == 0 &&
         std::memcmp(message.data() + message.size() - sizeof number, &number, sizeof number) == 0;
}

bool post_all(MessagePort& port, std::uint64_t count, std::uint64_t seed) {
  Dice dice(seed);
  for (std::uint64_t number = 0; number < count; ++number) {
    if (dice.one_in(200)) std::this_thread::sleep_for(100us);  // long enough for the other end to sleep
    if (port.post_message_for(kPatience, message_of(number, dice.roll(0, 3000))) != PostResult::posted)
      return false;
  }
  return true;
}
bool receive_all(MessagePort& port, std::uint64_t count, std::uint64_t seed) {
  Dice dice(seed);
  for (std::uint64_t number = 0; number < count; ++number) {
    if (dice.one_in(200)) std::this_thread::sleep_for(100us);  // long enough for the ring to fill
    Received received = port.receive_for(kPatience);
    if (!received || !is_message(received->bytes(), number)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("two threads of each end, one waiting for room and one for messages, lose nothing") {
  constexpr std::uint64_t kMessages = 4'000;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  MessageChannel channel({.limit_bytes = 64 << 10});
  bool good[4] = {};
  std::vector<std::thread> threads;
  threads.emplace_back([&] { good[0] = post_all(channel.port1, kMessages, seed); });
  threads.emplace_back([&] { good[1] = receive_all(channel.port1, kMessages, seed + 1); });
  threads.emplace_back([&] { good[2] = post_all(channel.port2, kMessages, seed + 2); });
  threads.emplace_back([&] { good[3] = receive_all(channel.port2, kMessages, seed + 3); });
  for (std::thread& thread : threads) thread.join();
  for (const bool one : good) CHECK(one);
}

TEST_CASE("two threads that answer each other neither miss a message nor see one twice") {
  constexpr std::uint64_t kRounds = 2'000;
  MessageChannel channel;
  std::thread answering([&] {
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      Received question = channel.port2.receive();
      if (!question) return;
      channel.port2.post_message(question->data<std::uint64_t>() + 1);
    }
  });
  bool right = true;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    channel.port1.post_message(round);
    Received answer = channel.port1.receive_for(kPatience);
    right = right && answer && answer->data<std::uint64_t>() == round + 1;
  }
  channel.port1.close();
  answering.join();
  CHECK(right);
}

TEST_CASE("messages that other threads keep give their room back when they are let go of there") {
  constexpr std::uint64_t kMessages = 2'000;
  MessageChannel channel({.limit_bytes = 64 << 10});
  bool posted = false;
  std::thread posting([&] { posted = post_all(channel.port1, kMessages, 1); });
  bool whole = true;
  std::vector<std::thread> keepers;
  for (std::uint64_t number = 0; number < kMessages; ++number) {
    Received received = channel.port2.receive_for(kPatience);
    REQUIRE(received);
    if (number % 100 != 0) continue;
    keepers.emplace_back([&whole, number, kept = (*std::move(received)).keep()] {
      const bool is = is_message(kept.bytes(), number);
      if (!is) whole = false;
    });
  }
  posting.join();
  for (std::thread& keeper : keepers) keeper.join();
  CHECK(posted);
  CHECK(whole);
}

TEST_CASE("ports and what was posted on them pass from thread to thread") {
  constexpr std::uint64_t kPorts = 200;
  MessageChannel carrier;
  std::thread receiving([&] {
    for (std::uint64_t number = 0; number < kPorts; ++number) {
      Received received = carrier.port2.receive();
      if (!received) return;
      MessagePort port = std::move(received->ports()[0]);
      Received inside = port.receive();
      if (inside) port.post_message(inside->data<std::uint64_t>());
    }
  });
  bool right = true;
  for (std::uint64_t number = 0; number < kPorts; ++number) {
    MessageChannel data;
    data.port1.post_message(number);
    carrier.port1.post_message("a port", {.transfer = {data.port2}});
    Received answer = data.port1.receive_for(kPatience);
    right = right && answer && answer->data<std::uint64_t>() == number;
  }
  carrier.port1.close();
  receiving.join();
  CHECK(right);
}

TEST_CASE("a loop in one thread serves what another thread posts, however often it falls asleep") {
  constexpr std::uint64_t kMessages = 3'000;
  MessageChannel channel;
  bool in_order = true;
  std::uint64_t next = 0;
  std::thread serving([&] {
    channel.port2.on_message<std::uint64_t>([&](std::uint64_t number) {
      in_order = in_order && number == next++;
      if (next == kMessages) EventLoop::current().stop();
    });
    EventLoop::current().run();
  });
  Dice dice(random_seed());
  for (std::uint64_t number = 0; number < kMessages; ++number) {
    if (dice.one_in(50)) std::this_thread::sleep_for(200us);  // so that it does
    channel.port1.post_message(number);
  }
  serving.join();
  CHECK(in_order);
  CHECK(next == kMessages);
}

TEST_CASE("a port moves away from a thread that sleeps on it or is about to") {
  Dice dice(random_seed());
  MessageChannel carrier;
  for (int round = 0; round < 300; ++round) {
    MessageChannel data;
    std::thread receiving([&] {
      while (data.port2.receive().status() == ReceiveStatus::message) {
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(dice.roll(0, 200)));  // anywhere in its receive
    carrier.port1.post_message("it", {.transfer = {data.port2}});
    receiving.join();
    CHECK(carrier.port2.receive()->ports()[0].is_open());
  }
}
