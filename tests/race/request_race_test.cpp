// SPDX-License-Identifier: Apache-2.0

// Requests, shared senders and waits on many ports, where threads meet.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <doctest/doctest.h>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <portolan/portolan.hpp>

#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

void serve_until_closed(MessagePort port) {
  port.on_message<std::uint64_t>([&](std::uint64_t number, MessageEvent& event) {
    if (event.is_request()) event.reply(number + 1);
  });
  EventLoop::current().run();
}

}  // namespace

TEST_CASE("one thread asks while another receives, and each request has its reply") {
  constexpr std::uint64_t kRequests = 2'000;
  MessageChannel channel;
  std::jthread server([port = std::move(channel.port2)]() mutable { serve_until_closed(std::move(port)); });
  std::mutex mutex;
  std::vector<Reply> asked;
  std::jthread asker([&] {
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      Reply reply = channel.port1.request(i, {.timeout = kPatience});
      const std::lock_guard lock(mutex);
      asked.push_back(std::move(reply));
    }
  });
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    REQUIRE(wait_until([&] {
      const std::lock_guard lock(mutex);
      return asked.size() > i;
    }));
    Reply reply;
    {
      const std::lock_guard lock(mutex);
      reply = std::move(asked[i]);
    }
    REQUIRE(reply.get().data<std::uint64_t>() == i + 1);
  }
  asker.join();
  channel.port1.close();
}

TEST_CASE("a port that another thread closes ends its requests, each once") {
  for (int round = 0; round < 50; ++round) {
    MessageChannel channel;
    std::jthread server([port = std::move(channel.port2)]() mutable { serve_until_closed(std::move(port)); });
    int ended = 0;
    for (std::uint64_t i = 0; i < 20; ++i)
      channel.port1.request(i).on_reply([&](MessageEvent&) { ++ended; },
                                        [&](const RequestError&) { ++ended; });
    std::jthread closer([&] { channel.port1.close(); });
    EventLoop::current().run();
    closer.join();
    EventLoop::current().run();
    CHECK(ended == 20);
  }
}

TEST_CASE("a sender that four threads share keeps the order of each") {
  constexpr std::uint64_t kThreads = 4, kMessages = 5'000;
  MessageChannel channel({.limit_bytes = 64 << 10});
  std::optional<SharedSender> sender(std::in_place, std::move(channel.port1));
  std::vector<std::jthread> threads;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([thread, shared = *sender]() mutable {
      for (std::uint64_t i = 0; i < kMessages; ++i)
        if (shared.post_message_for(kPatience, thread << 32 | i) != PostResult::posted) return;
    });
  sender.reset();
  std::map<std::uint64_t, std::uint64_t> next;
  std::uint64_t count = 0;
  while (Received received = channel.port2.receive()) {
    const auto number = received->data<std::uint64_t>();
    REQUIRE(next[number >> 32]++ == (number & 0xffffffff));
    ++count;
  }
  CHECK(count == kThreads * kMessages);  // the channel closed with the last copy
}

TEST_CASE("one thread waits for the ports of several others and misses nothing") {
  constexpr int kThreads = 4, kMessages = 500;
  std::vector<MessageChannel> channels(kThreads);
  std::vector<std::jthread> threads;
  std::vector<MessagePort*> ports;
  for (MessageChannel& channel : channels) {
    ports.push_back(&channel.port1);
    threads.emplace_back([port = std::move(channel.port2)]() mutable {
      for (int i = 0; i < kMessages; ++i) {
        if (i % 100 == 0) std::this_thread::sleep_for(1ms);  // long enough for the other one to sleep
        port.post_message(i);
      }
    });
  }
  int messages = 0;
  while (!ports.empty()) {
    const std::size_t ready = wait_any(ports, kPatience);
    REQUIRE(ready != npos);
    Received received = ports[ready]->try_receive();
    if (received.status() == ReceiveStatus::closed)
      ports.erase(ports.begin() + static_cast<std::ptrdiff_t>(ready));
    messages += received ? 1 : 0;
  }
  CHECK(messages == kThreads * kMessages);
}

TEST_CASE("a port that another thread closes while its channel is merged is closed in either channel") {
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    MessageChannel far, near;
    for (int i = 0; i < 20; ++i) {
      near.port1.post_message(i);
      near.port2.post_message(i);
    }
    std::atomic<bool> go{false};
    std::jthread closer([&] {
      while (!go) std::this_thread::yield();
      near.port1.close();
    });
    go = true;
    try {
      merge(std::move(far.port1), std::move(near.port2));
    } catch (const InvalidStateError&) {  // the close came first
      far.port1.close();
    }
    closer.join();
    CHECK_FALSE(near.port1.is_open());
    int next = 0;
    Received message;
    while ((message = far.port2.receive())) CHECK(message->data<int>() == next++);
    CHECK(message.status() == ReceiveStatus::closed);
  }
}

TEST_CASE("of a split port one thread posts and another receives, until a third one closes it") {
  constexpr std::uint64_t kLeast = 2'000;
  for (int round = 0; round < 5; ++round) {
    CAPTURE(round);
    MessageChannel channel({.limit_bytes = 64 << 10});
    auto halves = split(std::move(channel.port1));
    std::atomic<std::uint64_t> sent{0}, echoed{0};
    std::jthread echo([&port = channel.port2] {
      while (Received received = port.receive())
        if (port.post_message_for(kPatience, received->data<std::uint64_t>()) != PostResult::posted) return;
    });
    std::jthread posting([&sent, sender = std::move(halves.first)]() mutable {
      while (sender.post_message_for(kPatience, sent.load()) == PostResult::posted) ++sent;
    });
    std::jthread receiving([&echoed, receiver = std::move(halves.second)]() mutable {
      while (Received received = receiver.receive()) {
        CHECK(received->data<std::uint64_t>() == echoed.load());
        ++echoed;
      }
    });
    CHECK(wait_until([&] { return echoed.load() >= kLeast; }));
    channel.port2.close();
    posting.join();
    receiving.join();
    CHECK(echoed.load() <= sent.load());
  }
}

TEST_CASE("a peer in another thread posts and receives on while its channel is merged, and misses nothing") {
  constexpr int kPosts = 2'000, kBefore = 20;
  for (int round = 0; round < 10; ++round) {
    CAPTURE(round);
    MessageChannel far, near;
    for (int i = 0; i < kBefore; ++i) near.port2.post_message(i);
    std::atomic<int> posted{0};
    int received = 0;
    std::jthread other([&, port = std::move(far.port2)]() mutable {
      for (int i = 0; i < kPosts; ++i, ++posted) port.post_message(i);
      while (Received message = port.receive()) {
        CHECK(message->data<int>() == received);
        ++received;
      }
    });
    CHECK(wait_until([&] { return posted.load() > kPosts / 10; }));
    merge(std::move(far.port1), std::move(near.port1));
    for (int i = kBefore; i < 2 * kBefore; ++i) near.port2.post_message(i);
    for (int i = 0; i < kPosts; ++i) REQUIRE(near.port2.receive()->data<int>() == i);
    near.port2.close();
    other.join();
    CHECK(received == 2 * kBefore);
  }
}
