// SPDX-License-Identifier: Apache-2.0

// Messages received many at a time: in order, with what came along, and each as it is for as long as somebody
// has its event.
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <doctest/doctest.h>
#include <random>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kMessages = 60'000;

std::size_t size_of(std::uint64_t number) {
  if (number % 997 == 0) return 100'000;  // more than a block
  return 8 + number * 7 % 300;
}
bool brings_port(std::uint64_t number) {
  return number % 1009 == 0;
}

// A message is its number, then bytes that follow from it.
std::vector<std::byte> message_of(std::uint64_t number) {
  std::vector<std::byte> bytes(size_of(number), static_cast<std::byte>(number * 31));
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}
bool is_message(std::span<const std::byte> bytes, std::uint64_t number) {
  const std::vector<std::byte> expected = message_of(number);
  return bytes.size() == expected.size() && std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0;
}

int post_all(MessagePort& port) {
  for (std::uint64_t number = 0; number < kMessages; ++number) {
    MessageChannel channel;
    PostOptions options;
    if (brings_port(number)) options.transfer = {channel.port2};
    PORTOLAN_CHILD_REQUIRE(port.post_message_for(kPatience, message_of(number), options) ==
                           PostResult::posted);
    if (brings_port(number)) channel.port1.post_message(std::to_string(number));
  }
  // Until all is read; then the other end closes.
  return port.receive() ? 1 : 0;
}

struct Held {
  MessageEvent event;
  std::uint64_t number;
};

}  // namespace

TEST_CASE("batches bring every message once and in order, and what is moved out of one stays as it was") {
  const PortCensus census;
  {
    MessageChannel channel;
    ChildProcess child =
        fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) { return post_all(ports[0]); });
    std::minstd_rand dice(7);
    std::vector<Received> batch(40);
    std::deque<Held> held;
    std::uint64_t number = 0, damaged = 0;
    while (number < kMessages) {
      const std::size_t count =
          channel.port1.receive_batch(std::span(batch).first(1 + dice() % batch.size()));
      for (std::size_t i = 0; i < count; ++i, ++number) {
        if (!(is_message(batch[i]->bytes(), number))) ++damaged;
        if (brings_port(number)) {
          REQUIRE(batch[i]->ports().size() == 1);
          if (!(batch[i]->ports()[0].receive()->text() == std::to_string(number))) ++damaged;
        }
        switch (dice() % 16) {
          case 0:
            held.push_back({std::move(*batch[i]), number});
            break;
          case 1:
            batch[i] = Received();
            break;
          case 2:
            if (i != 0) std::swap(batch[i], batch[dice() % i]);
            break;
          default:
            break;
        }
      }
      // Of those that were let go of and of those that were not.
      for (std::size_t many = held.size() > 100 ? dice() % 50 : 0; many != 0; --many) {
        const auto each = held.begin() + static_cast<std::ptrdiff_t>(dice() % held.size());
        if (!(is_message(each->event.bytes(), each->number))) ++damaged;
        held.erase(each);
      }
    }
    CHECK(damaged == 0);
    for (const Held& each : held) REQUIRE(is_message(each.event.bytes(), each.number));
    CHECK(channel.port1.receive_batch(batch) == 0);
    held.clear();
    channel.port1.close();
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("a batch counts as read at the next one, not before, whatever becomes of its events") {
  MessageChannel channel;
  for (int i = 0; i < 10; ++i) channel.port1.post_message("a message");
  std::array<Received, 4> batch;
  REQUIRE(channel.port2.receive_batch(batch) == 4);
  CHECK(channel.port1.buffered_amount().messages == 10);
  const MessageEvent kept = std::move(*batch[1]);
  REQUIRE(channel.port2.receive_batch(batch) == 4);
  CHECK(channel.port1.buffered_amount().messages == 6);
  REQUIRE(channel.port2.receive_batch(batch) == 2);
  CHECK(channel.port1.buffered_amount().messages == 2);
  CHECK(!batch[2]);
  CHECK(!batch[3]);
  CHECK(batch[2]->bytes().empty());
  CHECK(channel.port2.receive_batch(batch) == 0);
  CHECK(channel.port1.buffered_amount().messages == 0);
  CHECK(kept.text() == "a message");
}

TEST_CASE("what could not be taken leaves nothing in the batch for the message that comes there next") {
  MessageChannel channel, other;
  channel.port1.post_message("plain");
  REQUIRE(channel.port2.receive());  // a first use needs descriptors of its own
  channel.port1.post_message("plain");
  const Reply reply = channel.port1.request("with a port", {.transfer = {other.port2}});
  std::array<Received, 2> batch;
  {
    const FewDescriptors one(1);
    REQUIRE(channel.port2.receive_batch(batch) == 1);  // the request stays
  }
  Received request = channel.port2.receive();
  CHECK(request->is_request());
  for (int i = 0; i < 2; ++i) channel.port1.post_message("plain");
  REQUIRE(channel.port2.receive_batch(batch) == 2);
  for (Received& plain : batch) CHECK(!plain->is_request());
}

TEST_CASE("an event of a batch that was dispatched is a new one in the next batch") {
  MessageChannel channel;
  EventTarget target;
  std::array<Received, 1> batch;
  for (int i = 0; i < 2; ++i) {
    channel.port1.post_message("a message");
    REQUIRE(channel.port2.receive_batch(batch) == 1);
    CHECK(batch[0]->is_trusted());
    CHECK(batch[0]->target() == nullptr);
    target.dispatch_event(*batch[0]);
    CHECK(batch[0]->target() == &target);
  }
}

TEST_CASE("an event of a batch that was dispatched and moved away leaves a place for a new one") {
  MessageChannel channel;
  EventTarget target;
  std::array<Received, 1> batch;
  channel.port1.post_message("a message");
  REQUIRE(channel.port2.receive_batch(batch) == 1);
  target.dispatch_event(*batch[0]);
  const Received elsewhere = std::move(batch[0]);
  channel.port1.post_message("another");
  REQUIRE(channel.port2.receive_batch(batch) == 1);
  CHECK(batch[0]->is_trusted());
  CHECK(batch[0]->text() == "another");
}

TEST_CASE("an event that was moved into a batch by hand is let go of by the next one") {
  MessageChannel channel;
  const std::vector<std::byte> payload(10'000);
  std::array<Received, 1> from;
  int full = 0;
  for (std::size_t i = 0; i < 20'000; ++i) {  // many times what the ring holds
    std::array<Received, 2> into;
    if (channel.port1.try_post_message(payload) == PostResult::full) ++full;
    if (channel.port2.receive_batch(from) == 1) *into[i % 2] = std::move(*from[0]);
    for (int j = 0; j < 2; ++j)
      if (channel.port1.try_post_message(payload) == PostResult::full) ++full;
    static_cast<void>(channel.port2.receive_batch(into));
  }
  CHECK(full == 0);
}

TEST_CASE("whoever asks for batches only, be they empty, learns that its peer was killed") {
  for (const std::size_t size : {0U, 4U}) {
    CAPTURE(size);
    MessageChannel channel;
    ChildProcess child =
        fork_with(ports_of(std::move(channel.port2)), [](Ports&) { return ::raise(SIGKILL); });
    CHECK(child.wait() == ChildExit::killed(SIGKILL));
    std::vector<Received> batch(size);
    int asked = 0;
    do {
      REQUIRE(channel.port1.receive_batch(batch) == 0);
      REQUIRE(++asked < 1'000'000);
    } while (channel.port1.is_open());
    CHECK(channel.port1.close_reason() == CloseReason::peer_died);
  }
}
