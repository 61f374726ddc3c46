// SPDX-License-Identifier: Apache-2.0

// Both ends over memory that a hostile peer fills, and goes on changing between any two calls; with words
// that answer for themselves, between any two loads. Nothing is checked but what must hold whatever the
// memory says: places lie inside, calls end. Reading outside is the sanitizers' and the unmapped pages' to
// find.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <span>

#include "ring/scout.hpp"
#include "ring_ends.hpp"
#include "ring_memory.hpp"

namespace portolan::testing {

// What a build over watched words knows of them; see tests/words.
class NoWords {
 public:
  void lie(std::uint32_t, std::uint64_t) noexcept {}
  void begin_operation() noexcept {}
  std::uint64_t loads() const noexcept { return 0; }
  std::uint64_t control_words_loaded_again() const noexcept { return 0; }
};

template <class Words>
class HostileRing {
 public:
  HostileRing(RingMemory& memory, Words& words) : memory_(memory), words_(words) { memory_.wipe(); }

  // The bytes say what the peer writes and which calls are made. False: something was out of bounds.
  bool run(std::span<const std::uint8_t> script) {
    script_ = script;
    while (!script_.empty() && sane_) step();
    return sane_ && !memory_.outside;
  }
  // Calls of the ring, and how many of them brought a message.
  std::uint64_t operations() const { return operations_; }
  std::uint64_t messages() const { return messages_; }

 private:
  static constexpr std::uint64_t kMapLoads = ring::kMaxBlocks / 64;
  // A walk visits each block once, and perhaps the last run's again; a word is a header, and its body's size.
  static constexpr std::uint64_t kWalkLoads =
      2 * 2 * (RingMemory::kSmall.direction_bytes() + ring::kFirstExtentBytes) / 8;

  // A call of the ring. It loads each control word once, and `most_loads` words in all: more would be a loop
  // that the memory decides about.
  class Operation {
   public:
    Operation(HostileRing& ring, std::uint64_t most_loads) : ring_(ring), most_loads_(most_loads) {
      ++ring_.operations_;
      ring_.words_.begin_operation();
    }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    ~Operation() { end(); }
    // It goes on as the next one.
    void next() {
      end();
      ring_.words_.begin_operation();
    }

   private:
    void end() {
      ring_.require(ring_.words_.loads() <= most_loads_ && ring_.words_.control_words_loaded_again() == 0);
    }
    HostileRing& ring_;
    std::uint64_t most_loads_;
  };

  static constexpr std::uint64_t kMostCalls = 1 << 18;  // no honest or dishonest ring of 64 KiB needs more

  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (; bytes > 0 && !script_.empty(); --bytes) {
      value = value << 8 | script_.front();
      script_ = script_.subspan(1);
    }
    return value;
  }

  void step() {
    switch (number(1) % 9) {
      case 0:
        poke_line();
        break;
      case 1:
        poke_block();
        break;
      case 2:
        poke_honestly();
        break;
      case 3:
        adopt_writer();
        break;
      case 4:
        adopt_reader();
        break;
      case 5:
        write();
        break;
      case 6:
        read();
        break;
      case 7:
        read_and_keep();
        break;
      case 8:
        lie();
        break;
    }
  }

  // A load that is soon to come finds something else than what is there.
  void lie() {
    const auto loads = static_cast<std::uint32_t>(number(1) % 48);
    words_.lie(loads, some_word());
  }
  // Words that pass the first checks, and any.
  std::uint64_t some_word() {
    const ring::Run run{static_cast<std::uint16_t>(number(1) % 18),
                        static_cast<std::uint16_t>(number(1) % 18)};
    switch (number(1) % 6) {
      case 0:
        return ring::Location(run, number(2) * 8).word();
      case 1:
        return ring::FrameHeader::jump(run).word();
      case 2:
        return ring::FrameHeader::mark(static_cast<std::uint32_t>(number(2))).word();
      case 3:
        return message_header(number(2)).word();
      case 4:
        return 0;
      default:
        return number(8);
    }
  }

  void poke_line() {
    const std::size_t at = number(2) % (memory_.lines_bytes().size() / 8) * 8;
    const std::uint64_t word = number(8);
    std::memcpy(memory_.lines_bytes().data() + at, &word, 8);
  }
  void poke_block() {
    const std::size_t at = number(2) % (memory_.blocks().size() / 8) * 8;
    const std::uint64_t word = number(8);
    std::memcpy(memory_.blocks().data() + at, &word, 8);
  }
  // Words that pass the first checks, at places where they are looked at.
  void poke_honestly() {
    const auto block = static_cast<std::uint16_t>(number(1) % 18),
               count = static_cast<std::uint16_t>(number(1) % 18);
    const std::uint64_t offset = number(2) * 8;
    const ring::Run run{block, count};
    ring::DirectionLines& lines = memory_.lines();
    switch (number(1) % 6) {
      case 0:
        lines.writer.extent.store(ring::Location(run, offset).word(), std::memory_order_relaxed);
        break;
      case 1:
        lines.writer.intent.store(ring::Location(run, offset).word(), std::memory_order_relaxed);
        break;
      case 2:
        lines.reader.progress.cursor.store(ring::Location(run, offset).word(), std::memory_order_relaxed);
        break;
      case 3:
        poke_header(ring::FrameHeader::jump(run), offset);
        break;
      case 4:
        poke_header(ring::FrameHeader::mark(static_cast<std::uint32_t>(number(2))), offset);
        break;
      case 5:
        poke_header(message_header(number(2)), offset);
        break;
    }
  }
  void poke_header(ring::FrameHeader header, std::uint64_t at) {
    const std::uint64_t word = header.word();
    const bool first = number(1) % 2 == 0;
    const std::span<std::byte> where =
        first ? std::span(memory_.lines().first_extent, ring::kFirstExtentBytes) : memory_.blocks();
    std::memcpy(where.data() + at % where.size(), &word, 8);
  }

  ring::Adoption how() {
    return number(1) % 2 == 0 ? ring::Adoption::after_move : ring::Adoption::after_death;
  }
  void adopt_writer() {
    writers_.emplace_back(memory_.lines(), memory_.geometry(), memory_);
    const ring::Adoption adoption = how();
    const Operation operation(*this, 2 * kMapLoads + 8 + kWalkLoads);
    if (!writers_.back().adopt(adoption)) writers_.clear();
  }
  void adopt_reader() {
    readers_.emplace_back(memory_.lines(), memory_.geometry(), memory_);
    frames_.clear();
    const ring::Adoption adoption = how();
    const Operation operation(*this, 2 * kMapLoads + 16 + kWalkLoads);
    if (!readers_.back().adopt(adoption)) readers_.clear();
  }

  bool inside(const std::byte* begin, std::uint64_t bytes) const {
    const auto within = [&](std::span<const std::byte> all) {
      return begin >= all.data() && begin <= all.data() + all.size() &&
             bytes <= static_cast<std::uint64_t>(all.data() + all.size() - begin);
    };
    return within(memory_.blocks()) || within({memory_.lines().first_extent, ring::kFirstExtentBytes});
  }
  void require(bool holds) { sane_ = sane_ && holds; }

  void write() {
    if (writers_.empty()) return;
    ring::Writer& writer = writers_.back();
    const std::uint64_t bytes = number(2) % (writer.largest_payload_bytes() + 1);
    require(writer.room_here_bytes() < memory_.blocks().size());
    std::byte* room = reserve(writer, bytes);
    if (room == nullptr) return;
    require(inside(room, ring::round_up_8(bytes) + ring::kHeaderBytes));
    if (!sane_) return;
    std::memset(room, 0x5a, bytes);
    const std::uint64_t more = bytes + number(1) * 32;
    if (number(1) % 4 == 0 && more <= writer.largest_payload_bytes()) {
      const Operation operation(*this, kMapLoads + 1);
      if (std::byte* const moved = writer.extend(more, bytes)) room = moved;
      require(inside(room, ring::round_up_8(bytes) + ring::kHeaderBytes));
    }
    if (number(1) % 4 == 0) return writer.abandon();
    require(inside(commit(writer, bytes), ring::kHeaderBytes));
    {
      Operation operation(*this, kMapLoads);
      writer.give_back(0, 4, [&](ring::Run run) {
        require(run.count != 0 && run.block + run.count <= memory_.geometry().block_count);
        operation.next();
      });
    }
    const Operation operation(*this, kMapLoads);
    require(writer.free_blocks() <= memory_.geometry().block_count);
  }
  std::byte* reserve(ring::Writer& writer, std::uint64_t bytes) {
    const Operation operation(*this, kMapLoads + 1);
    return writer.reserve(bytes);
  }
  std::byte* commit(ring::Writer& writer, std::uint64_t bytes) {
    const Operation operation(*this, 0);
    return writer.commit(message_header(bytes));
  }

  bool next(ring::Reader::Frame& frame) {
    ring::Reader& reader = readers_.back();
    for (std::uint64_t calls = 0; calls < kMostCalls; ++calls) {
      require(inside(reader.header_address(), ring::kHeaderBytes));
      switch (look(reader, frame)) {
        case ring::Reader::Look::message:
          ++messages_;
          require(inside(frame.payload, ring::round_up_8(frame.header.payload_bytes()) + ring::kHeaderBytes));
          return sane_;
        case ring::Reader::Look::mark:
          reader.skip_mark(frame);
          break;
        case ring::Reader::Look::violation:
          readers_.clear();
          frames_.clear();
          return false;
        default:
          return false;
      }
    }
    require(false);  // a ring of marks without an end
    return false;
  }
  // Its header, and the one that a JUMP leads to.
  ring::Reader::Look look(ring::Reader& reader, ring::Reader::Frame& frame) {
    const Operation operation(*this, 2);
    return reader.look(frame);
  }
  void read() {
    if (readers_.empty()) return;
    readers_.back().pass_all();
    ring::Reader::Frame frame;
    if (!next(frame)) return;
    const Operation operation(*this, 0);
    readers_.back().take(frame);
    release(readers_.back(), frame);
  }
  // Up to 64 in hand, let go of in their order or against it.
  void read_and_keep() {
    if (readers_.empty()) return;
    ring::Reader::Frame frame;
    for (std::uint64_t count = number(1) % 16; count > 0 && frames_.size() < 64 && next(frame); --count) {
      readers_.back().take(frame);
      frames_.push_back(frame);
    }
    for (std::uint64_t count = number(1) % 16; count > 0 && !frames_.empty(); --count) {
      const bool oldest = number(1) % 2 == 0;
      release(readers_.back(), oldest ? frames_.front() : frames_.back());
      oldest ? frames_.pop_front() : frames_.pop_back();
    }
    look_ahead();
  }
  void look_ahead() {
    if (readers_.empty()) return;
    ring::Scout scout(readers_.back());
    ring::Reader::Frame frame;
    std::uint64_t calls = 0;
    // Over marks, as many as the ring can hold.
    for (; calls < kMostCalls; ++calls) {
      const Operation operation(*this, readers_.back().most_unread_frames() + 2);
      if (scout.look(frame) != ring::Reader::Look::message) break;
      require(inside(frame.payload, ring::round_up_8(frame.header.payload_bytes()) + ring::kHeaderBytes));
    }
    require(calls < kMostCalls);
    const Operation operation(*this, 1);
    static_cast<void>(scout.dry());
  }

  RingMemory& memory_;
  Words& words_;
  std::span<const std::uint8_t> script_;
  std::deque<ring::Writer> writers_;
  std::deque<ring::Reader> readers_;
  std::deque<ring::Reader::Frame> frames_;
  bool sane_ = true;
  std::uint64_t operations_ = 0;
  std::uint64_t messages_ = 0;
};

}  // namespace portolan::testing
