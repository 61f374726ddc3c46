// SPDX-License-Identifier: Apache-2.0

// What two threads do with one direction of a ring, a few operations each; Relacy runs them in many orders.
#pragma once

#include <array>
#include <optional>

#include <portolan/lane/waker.hpp>

#include "memory_model/modelled_words.hpp"
#include "ring/name_table.hpp"
#include "ring/reader.hpp"
#include "ring/ring_memory.hpp"
#include "ring/sleep_word.hpp"
#include "ring/writer.hpp"

namespace portolan::testing {

// Of all executions.
inline RingMemory& ring_memory() {
  static RingMemory memory;
  return memory;
}
inline Plan*& present_plan() {
  static Plan* plan = nullptr;
  return plan;
}

// A ring that nobody has used; the thread of index 0 writes, that of index 1 reads.
class ModelledRing {
 public:
  ModelledRing() {
    RingMemory& memory = ring_memory();
    words_.emplace(*present_plan(), memory.lines_bytes(),
                   std::span(memory.lines_bytes().data(), memory.blocks().data() + memory.blocks().size()));
    writer_.emplace(lines(), memory.geometry(), memory);
    reader_.emplace(lines(), memory.geometry(), memory);
    RL_ASSERT(writer_->adopt(ring::Adoption::after_move));
    RL_ASSERT(reader_->adopt(ring::Adoption::after_move));
  }

  ring::DirectionLines& lines() { return ring_memory().lines(); }
  ring::Writer& writer() { return *writer_; }
  ring::Reader& reader() { return *reader_; }

  // The first word alone is written: it says which message it is.
  void post(std::uint64_t number, std::uint64_t bytes) {
    std::byte* const room = writer_->reserve(bytes);
    if (room == nullptr) return;  // the reader is behind
    lane::copy_shared(room, &number, sizeof number);
    writer_->commit(ring::FrameHeader::message(static_cast<std::uint32_t>(bytes), 1, false, false));
  }
  // Whether there was one, which was then the next.
  bool receive() {
    ring::Reader::Frame frame;
    const ring::Reader::Look look = reader_->look(frame);
    if (look != ring::Reader::Look::message) {
      RL_ASSERT(look == ring::Reader::Look::nothing);
      return false;
    }
    std::uint64_t number = 0;
    lane::copy_shared(&number, frame.payload, sizeof number);
    RL_ASSERT(number == received_ + 1);
    ++received_;
    reader_->take(frame);
    reader_->release(*frame.extent, frame.sequence, frame.past_offset, frame.header.payload_bytes());
    return true;
  }

 private:
  std::optional<ModelledWords> words_;
  std::optional<ring::Writer> writer_;
  std::optional<ring::Reader> reader_;
  std::uint64_t received_ = 0;
};

// Messages of kBytes each: kBefore are there at the start, kMessages come while the reader looks kLooks
// times.
template <std::uint64_t kBefore, std::uint64_t kMessages, std::uint64_t kBytes, int kLooks>
struct Publication : rl::test_suite<Publication<kBefore, kMessages, kBytes, kLooks>, 2> {
  ModelledRing ring;

  Publication() {
    for (std::uint64_t number = 1; number <= kBefore; ++number) ring.post(number, kBytes);
  }
  void thread(unsigned index) {
    if (index == 0) {
      for (std::uint64_t number = 1; number <= kMessages; ++number) ring.post(kBefore + number, kBytes);
    } else {
      for (int looks = 0; looks < kLooks; ++looks) ring.receive();
    }
  }
};

// In the first extent, where every frame follows the one before it.
using WithinAnExtent = Publication<0, 2, 16, 3>;
// Each in a run of its own: a later one goes where the first one was, if that has been handed back.
using OverBlocks = Publication<3, 2, 3000, 6>;

// The reader announces that it sleeps and looks again; the writer publishes and looks who sleeps.
struct Waking : rl::test_suite<Waking, 2> {
  ModelledRing ring;
  bool asleep = false;
  bool rung = false;

  void thread(unsigned index) {
    ring::SleepLine& line = ring.lines().reader_sleep;
    if (index == 0) {
      lane::Waker waker(line.word, line.at);
      ring.post(1, 16);
      if (!waker.has_news()) return;
      const std::uint64_t word = waker.word();
      if (!ring::sleeps(word, ring::SleepState::on_futex)) return;
      RL_ASSERT(waker.at() == ring.reader().place().word());
      rung = true;
    } else {
      ring::Sleeper(line).announce(ring::SleepState::on_futex, false, ring.reader().place().word());
      lane::atomic_thread_fence(std::memory_order_seq_cst);  // as [S9], which is not the ring's
      asleep = ring.reader().dry();
    }
  }
  void after() { RL_ASSERT(!asleep || rung); }
};

// A writer that tells names, and whoever reads them.
struct Telling : rl::test_suite<Telling, 2> {
  ModelledRing ring;

  void thread(unsigned index) {
    constexpr std::array<std::byte, 3> kName{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
    if (index == 0) {
      ring::NameTable table(ring.lines());
      for (const std::uint32_t number : {1u, 2u}) table.tell(number, kName);
    } else {
      const ring::NameList list(ring.lines());
      RL_ASSERT(list.whole_bytes() % 8 == 0);
    }
  }
};

}  // namespace portolan::testing
