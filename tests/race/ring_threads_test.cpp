// SPDX-License-Identifier: Apache-2.0

// Both ends of a direction as threads over one mapping: what the orders of the ordering table are for.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <doctest/doctest.h>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>

#include "ring/random_seed.hpp"
#include "ring/ring_ends.hpp"
#include "ring/ring_memory.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kMessages = 20'000;
constexpr std::uint64_t kMostBytes = 600;

struct Ends {
  RingMemory memory;
  ring::Writer writer{memory.lines(), memory.geometry(), memory};
  ring::Reader reader{memory.lines(), memory.geometry(), memory};
  Ends() { REQUIRE((writer.adopt(ring::Adoption::after_move) && reader.adopt(ring::Adoption::after_move))); }
};

// Lengths from the seed, and a byte pattern that names the message. Now and then a reservation is given up.
void write_all(ring::Writer& writer, std::uint64_t seed) {
  Dice lengths(seed), whims(~seed);
  for (std::uint64_t message = 0; message < kMessages; ++message) {
    const std::uint64_t bytes = lengths.roll(0, kMostBytes);
    if (whims.one_in(50) && writer.reserve(whims.roll(0, kMostBytes)) != nullptr) writer.abandon();
    while (!post(writer, bytes, message)) std::this_thread::yield();
  }
}

ring::Reader::Frame next_or_wait(ring::Reader& reader) {
  for (;;) {
    if (const auto frame = next_message(reader)) return *frame;
    std::this_thread::yield();
  }
}

// Kept messages on their way to the thread that lets go of them.
class Kept {
 public:
  void push(std::optional<ring::Reader::Frame> frame) {
    const std::lock_guard lock(mutex_);
    frames_.push(frame);
    came_.notify_one();
  }
  std::optional<ring::Reader::Frame> pop() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !frames_.empty(); });
    const auto frame = frames_.front();
    frames_.pop();
    return frame;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::queue<std::optional<ring::Reader::Frame>> frames_;
};

}  // namespace

TEST_CASE("two threads at the ends of a ring: every message arrives whole and in order") {
  Ends ends;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  std::thread writing([&] { write_all(ends.writer, seed); });
  Dice lengths(seed);
  bool whole = true;
  for (std::uint64_t message = 0; message < kMessages; ++message) {
    const ring::Reader::Frame frame = next_or_wait(ends.reader);
    const std::uint64_t bytes = lengths.roll(0, kMostBytes);
    whole = whole && frame.sequence == message && frame.header.payload_bytes() == bytes &&
            has_pattern(frame.payload, bytes, message);
    ends.reader.take(frame);
    release(ends.reader, frame);
  }
  writing.join();
  CHECK(whole);
}

TEST_CASE("messages that a third thread keeps are not written over until it lets go of them") {
  Ends ends;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Kept kept;
  bool whole = true;
  std::thread writing([&] { write_all(ends.writer, seed); });
  std::thread keeping([&] {
    while (const auto frame = kept.pop()) {
      whole = whole && has_pattern(frame->payload, frame->header.payload_bytes(), frame->sequence);
      if (frame->extent->let_go()) ends.reader.hand_back_kept();
    }
  });
  for (std::uint64_t message = 0; message < kMessages; ++message) {
    const ring::Reader::Frame frame = next_or_wait(ends.reader);
    ends.reader.take(frame);
    frame.extent->hold();
    release(ends.reader, frame);
    kept.push(frame);
  }
  kept.push(std::nullopt);
  keeping.join();
  writing.join();
  CHECK(whole);
}

TEST_CASE("what a third thread counts of a direction was posted and read") {
  Ends ends;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  std::atomic<bool> done{false};
  bool plausible = true;
  std::thread writing([&] { write_all(ends.writer, seed); });
  std::thread counting([&] {
    ring::ReaderLine& line = ends.memory.lines().reader;
    std::uint64_t last = 0;
    while (!done.load(std::memory_order_relaxed)) {
      const std::uint64_t passed = line.progress.message_count.load(std::memory_order_acquire);
      plausible = plausible && passed >= last && passed <= kMessages;
      last = passed;
      std::this_thread::yield();
    }
  });
  for (std::uint64_t message = 0; message < kMessages; ++message) {
    const ring::Reader::Frame frame = next_or_wait(ends.reader);
    ends.reader.take(frame);
    release(ends.reader, frame);
  }
  done.store(true, std::memory_order_relaxed);
  counting.join();
  writing.join();
  CHECK(plausible);
}
