// SPDX-License-Identifier: Apache-2.0

// What a process still looks at when the port moves on: the bytes stay, whatever the next owner does with the
// memory.
#include <array>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <optional>
#include <thread>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kSizes[] = {8, 600, 40'000, 200'000,
                                  400'000};  // in the first extent, in blocks, in files

bool shows(const auto& message, std::size_t size) {
  return message.bytes().size() == size &&
         std::memcmp(message.bytes().data(), pattern(size, size).data(), size) == 0;
}

// The next owner reads everything and has its peer overwrite all of the ring, more than once.
void use_up_ring(MessagePort& here, MessagePort there) {
  ChildProcess child = fork_with(ports_of(std::move(there)), [](Ports& ports) {
    for (int i = 0; i < 200; ++i) PORTOLAN_CHILD_REQUIRE(ports[0].receive()->bytes().size() == 30'000);
    ports[0].post_message("read");
    return 0;
  });
  const std::vector<std::byte> noise(30'000, std::byte{0xee});
  for (int i = 0; i < 200; ++i) REQUIRE(here.post_message_for(kPatience, noise) == PostResult::posted);
  CHECK(here.receive()->text() == "read");
  CHECK(child.wait() == ChildExit::exited(0));
}

MessagePort moved_on(MessagePort& port) {
  MessageChannel carrier;
  carrier.port1.post_message("on", {.transfer = {port}});
  return std::move(carrier.port2.receive()->ports()[0]);
}

}  // namespace

TEST_CASE("events that live on while their port moves keep their bytes") {
  const PortCensus census;
  for (const std::size_t size : kSizes) {
    CAPTURE(size);
    MessageChannel channel({.limit_bytes = 1 << 20});
    channel.port1.post_message(pattern(size, size));
    Received event = channel.port2.receive();
    const std::byte* const where = event->bytes().data();
    use_up_ring(channel.port1, moved_on(channel.port2));
    CHECK(event->bytes().data() == where);
    CHECK(shows(*event, size));
  }
}

TEST_CASE("a kept message keeps its bytes while its port moves, and may end on another thread") {
  const PortCensus census;
  for (const std::size_t size : kSizes) {
    CAPTURE(size);
    MessageChannel channel({.limit_bytes = 1 << 20});
    channel.port1.post_message(pattern(size, size));
    Message kept = (*channel.port2.receive()).keep();
    use_up_ring(channel.port1, moved_on(channel.port2));
    CHECK(shows(kept, size));
    channel.port2 = {};
    std::thread([message = std::move(kept), size]() mutable { CHECK(shows(message, size)); }).join();
  }
}

TEST_CASE("a port whose move failed while its events live goes on as if nothing had been") {
  const PortCensus census;
  for (const std::size_t size : kSizes) {
    CAPTURE(size);
    MessageChannel channel({.limit_bytes = 1 << 20}), carrier;
    channel.port1.post_message(pattern(size, size));
    Received event = channel.port2.receive();
    FileDescriptor closed;
    // The second entry is what fails, after the port was looked at.
    MessageChannel other;
    other.port1.close();
    CHECK_THROWS_AS(carrier.port1.post_message("on", {.transfer = {channel.port2, other.port1}}),
                    DataCloneError);
    for (int fill = 0;
         carrier.port1.try_post_message("on", {.transfer = {closed = FileDescriptor::duplicate_of(0)}}) ==
         PostResult::posted;
         ++fill)
      REQUIRE(fill < 1000);
    CHECK_THROWS_AS(carrier.port1.post_message("on", {.transfer = {channel.port2}}), QueueFullError);
    CHECK(shows(*event, size));
    CHECK(channel.port2.is_open());
    channel.port2.post_message("out");
    CHECK(channel.port1.receive()->text() == "out");
    channel.port1.post_message("in");
    CHECK(channel.port2.receive()->text() == "in");
    CHECK(shows(*event, size));
    use_up_ring(channel.port1, moved_on(channel.port2));
    CHECK(shows(*event, size));
  }
}

TEST_CASE(
    "what was posted from a port with living events before its move comes before what is posted after it") {
  const PortCensus census;
  MessageChannel channel;
  for (int i = 0; i < 3; ++i) channel.port1.post_message("to keep the first extent in use");
  Received event = channel.port2.receive();
  for (std::uint64_t i = 0; i < 100; ++i) channel.port2.post_message(i);
  MessagePort arrived = moved_on(channel.port2);
  for (std::uint64_t i = 100; i < 200; ++i) arrived.post_message(i);
  for (std::uint64_t i = 0; i < 200; ++i) CHECK(channel.port1.receive()->data<std::uint64_t>() == i);
  CHECK(arrived.receive()->text() == "to keep the first extent in use");
  CHECK(event->text() == "to keep the first extent in use");
}

TEST_CASE("a port that has moved away and is asked all the same leaves the ring to its new owner") {
  const PortCensus census;
  const std::vector<std::byte> body(3000);
  for (const bool in_batches : {false, true}) {
    CAPTURE(in_batches);
    MessageChannel channel({.limit_bytes = 1 << 20});
    // Several extents behind; an event of one of the first is all that is kept.
    std::vector<Received> kept;
    for (int i = 0; i < 60; ++i) channel.port1.post_message(body);
    for (int i = 0; i < 55; ++i) {
      Received received = channel.port2.receive();
      if (i == 15) kept.push_back(std::move(received));
    }
    MessagePort next = moved_on(channel.port2);
    // The next owner goes round the ring, then it is full.
    for (int i = 0; i < 200; ++i) {
      channel.port1.post_message(body);
      REQUIRE(next.receive());
    }
    while (channel.port1.try_post_message(body) == PostResult::posted) {
    }
    const std::uint64_t unread = channel.port1.buffered_amount().messages;
    kept.clear();
    std::array<Received, 4> batch;
    for (int i = 0; i < 3; ++i) {
      if (in_batches)
        CHECK(channel.port2.receive_batch(batch) == 0);
      else
        CHECK(channel.port2.try_receive().status() == ReceiveStatus::closed);
    }
    CHECK(channel.port1.try_post_message(body) == PostResult::full);
    for (std::uint64_t i = 0; i < unread; ++i) REQUIRE(next.try_receive());
    CHECK(next.is_open());
  }
}

TEST_CASE("a large message in hand while its port moves does not count against the limit for ever") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  MessagePort reader = std::move(channel.port2);
  for (int move = 0; move < 4; ++move) {
    REQUIRE(channel.port1.try_post_message(pattern(600'000, 0)) == PostResult::posted);
    Received event = reader.receive();
    reader = moved_on(reader);
    CHECK(event->bytes().size() == 600'000);
  }
  CHECK(channel.port1.try_post_message(pattern(600'000, 0)) == PostResult::posted);
}

TEST_CASE(
    "what the last kept message of an extent held is room for the writer, whatever the reader is doing") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  const std::vector<std::byte> body(30'000);
  std::vector<Message> kept;
  for (PostResult posted; (posted = channel.port1.try_post_message(body)) != PostResult::full;) {
    REQUIRE(posted == PostResult::posted);
    kept.push_back((*channel.port2.receive()).keep());
  }
  REQUIRE(kept.size() > 20);
  REQUIRE(channel.port1.buffered_amount().messages <= 1);
  // The reader's thread is here, and does not look at its port again.
  std::thread([&kept] { kept.clear(); }).join();
  for (int i = 0; i < 20; ++i) REQUIRE(channel.port1.try_post_message(body) == PostResult::posted);
}

TEST_CASE("what was let go of while its port tried to move is room for the writer after all") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20}), other;
  const std::vector<std::byte> body(30'000);
  std::vector<Message> kept;
  while (channel.port1.try_post_message(body) == PostResult::posted)
    kept.push_back((*channel.port2.receive()).keep());
  other.port1.close();
  for (int attempt = 0; !kept.empty(); ++attempt) {
    std::thread letting_go([&kept] {
      for (int i = 0; i < 3 && !kept.empty(); ++i) kept.pop_back();
    });
    MessageChannel carrier;
    CHECK_THROWS_AS(carrier.port1.post_message("on", {.transfer = {channel.port2, other.port1}}),
                    DataCloneError);
    letting_go.join();
  }
  for (int i = 0; i < 20; ++i) REQUIRE(channel.port1.try_post_message(body) == PostResult::posted);
}
