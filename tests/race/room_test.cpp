// SPDX-License-Identifier: Apache-2.0

// Waiting for room, while another thread of the same end sleeps for something else. Every sleep ends by
// itself after a while, so a wake-up that is lost shows in the rounds: there are more of them than their case
// has time for if each is slept out.
#include <atomic>
#include <cstdint>
#include <doctest/doctest.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "process/asleep.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kBlockBytes = 4096;
const ChannelOptions kSmall{.limit_bytes = 16 * kBlockBytes};

// Fills `blocks` blocks, which are an extent of their own.
std::vector<std::byte> message_of(std::size_t blocks) {
  return std::vector<std::byte>(blocks * kBlockBytes - 64);
}
// The largest that travels in blocks: it needs five of them.
std::vector<std::byte> largest_message() {
  return std::vector<std::byte>(4 * kBlockBytes - 24);
}

void fill(MessagePort& port) {
  while (port.try_post_message(message_of(1)) == PostResult::posted) {
  }
}
void drain(MessagePort& port) {
  while (port.try_receive()) {
  }
}

}  // namespace

TEST_CASE("a loop that sleeps when another thread finds no room hears when there is some" *
          doctest::timeout(60)) {
  MessageChannel channel(kSmall);
  std::atomic<int> drains{0};
  std::atomic<pid_t> thread{0};
  std::thread serving([&] {
    channel.port1.on_drain([&](Event&) { ++drains; });
    thread.store(::gettid());
    EventLoop::current().run();
  });
  for (int round = 1; round <= 200; ++round) {
    REQUIRE(wait_until([&] { return thread.load() != 0 && sleeps_deeply(thread.load()); }));
    fill(channel.port1);
    drain(channel.port2);
    REQUIRE(wait_until([&] { return drains.load() == round; }));
  }
  channel.port1.close();
  serving.join();
}

TEST_CASE("of two threads of an end that want room, one in a loop and one in a post, neither is forgotten" *
          doctest::timeout(60)) {
  MessageChannel channel(kSmall);
  std::atomic<int> drains{0};
  std::thread serving([&] {
    channel.port1.on_drain([&](Event&) { ++drains; });
    EventLoop::current().run();
  });
  for (int round = 1; round <= 200; ++round) {
    fill(channel.port1);
    PostResult posted{};
    std::thread posting([&] { posted = channel.port1.post_message_for(kPatience, message_of(4)); });
    if (round % 2 == 0) std::this_thread::yield();
    drain(channel.port2);
    posting.join();
    CHECK(posted == PostResult::posted);
    drain(channel.port2);
    REQUIRE(wait_until([&] { return drains.load() == round; }));
  }
  channel.port1.close();
  serving.join();
}

TEST_CASE("a reader that sleeps is woken to leave the extent that a larger message needs" *
          doctest::timeout(60)) {
  for (int round = 0; round < 150; ++round) {
    MessageChannel channel(kSmall);
    // Blocks 0 to 3, 4 to 6 and 7 to 11: where the reader stands in the last one, there are no five in a row
    // once a reservation has taken the first four.
    for (const std::size_t blocks : {4U, 3U}) channel.port1.post_message(message_of(blocks));
    channel.port1.post_message(largest_message());
    std::atomic<pid_t> thread{0};
    std::thread receiving([&] {
      drain(channel.port2);
      thread.store(::gettid());
      static_cast<void>(channel.port2.receive());
    });
    REQUIRE(wait_until([&] { return thread.load() != 0 && sleeps_deeply(thread.load()); }));
    static_cast<void>(channel.port1.reserve(message_of(4).size()));  // and given up
    CHECK(channel.port1.post_message_for(kPatience, largest_message()) == PostResult::posted);
    receiving.join();
  }
}

TEST_CASE("a thread that waits with a body in a file of its own is woken when the one before is let go" *
          doctest::timeout(60)) {
  constexpr int kBodies = 6'000;
  MessageChannel channel(kSmall);
  bool good = true;
  std::thread posting([&] {
    for (int number = 0; number < kBodies && good; ++number)
      good = channel.port1.post_message_for(kPatience, message_of(15)) == PostResult::posted;
  });
  for (int number = 0; number < kBodies; ++number) {
    Received received = channel.port2.receive_for(kPatience);
    if (!received || received->bytes().size() != message_of(15).size()) {
      good = false;
      break;
    }
  }
  posting.join();
  CHECK(good);
}

TEST_CASE("a thread that waits for the socket's room is woken when a message with a descriptor is taken" *
          doctest::timeout(60)) {
  constexpr int kRounds = 8'000;
  MessageChannel channel;
  std::atomic<int> posted{0};
  const auto post_one = [&](std::chrono::nanoseconds patience) {
    FileDescriptor descriptor(::dup(STDERR_FILENO));
    return channel.port1.post_message_for(patience, "a descriptor", {.transfer = {descriptor}});
  };
  int unread = 0;
  for (; post_one(std::chrono::nanoseconds::zero()) == PostResult::posted; ++unread) {
  }
  REQUIRE(unread > 100);
  std::thread posting([&] {
    while (posted.load() < kRounds && post_one(kPatience) == PostResult::posted) ++posted;
  });
  // One at a time, so that the other thread sleeps each time.
  for (int round = 0; round < kRounds; ++round) {
    CHECK(channel.port2.receive_for(kPatience)->descriptors().size() == 1);
    while (posted.load() <= round) std::this_thread::yield();
  }
  posting.join();
  CHECK(posted.load() == kRounds);
}
