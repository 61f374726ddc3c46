// SPDX-License-Identifier: Apache-2.0

// A ring under random operations of both ends, moves and deaths of owners among them, beside a model that is
// too simple to be wrong: messages are numbered and posted in order, so the model is a list of sizes, how
// many were taken, passed, ever handed out and seen ahead, and which are in hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <doctest/doctest.h>
#include <optional>
#include <vector>

#include "random_seed.hpp"
#include "ring/scout.hpp"
#include "ring_ends.hpp"
#include "ring_memory.hpp"

namespace portolan::testing {

class RingMachine {
 public:
  // `refusals`: the kernel says no now and then.
  RingMachine(std::uint64_t seed, ring::Geometry geometry, bool refusals)
      : dice_(seed), memory_(geometry), refusals_(refusals) {
    new_writer(ring::Adoption::after_move);
    new_reader(ring::Adoption::after_move);
  }

  void step() {
    if (refusals_) memory_.refuse_allocation = dice_.one_in(8);
    // Phases in which the writer is ahead and in which the reader is, so that the ring is full and dry now
    // and then.
    if (dice_.one_in(500)) writer_weight_ = dice_.roll(5, 95);
    if (dice_.one_in(200)) return change_hands();
    if (dice_.roll(1, 100) <= writer_weight_) return dice_.one_in(30) ? mark() : write();
    if (dice_.one_in(10)) look_ahead();
    read();
  }

  // Everything is read and handed back; what is left in use is the extent that both ends are in, and a kept
  // run.
  void finish() {
    memory_.refuse_allocation = false;
    for (const Held& held : kept_) let_go_of_kept(held);
    kept_.clear();
    while (!in_hand_.empty()) release_event(in_hand_.size() - 1);
    while (take()) release_event(0);
    reader().pass_all();
    HOLDS(taken_ == posted_);
    HOLDS(reader().dry());
    const std::uint64_t current =
        ring::Location(memory_.lines().writer.extent.load(std::memory_order_relaxed)).run().count;
    const std::uint64_t used = memory_.used_blocks();
    HOLDS(used == current + kept_run_blocks());
    HOLDS(reader().free_blocks() == memory_.geometry().block_count - used);
    HOLDS(writer().free_blocks() == memory_.geometry().block_count - used);
    HOLDS(!memory_.outside);
  }

  std::uint64_t posted() const { return posted_; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t redelivered() const { return redelivered_; }
  std::uint64_t adoptions() const { return adoptions_; }

 private:
  struct Posted {
    std::uint64_t bytes;
    std::uint64_t body_bytes;
    // The last word of a large body's frame is not of the pattern.
    std::uint64_t pattern_bytes() const { return bytes - (body_bytes != 0 ? 8 : 0); }
  };
  struct Held {
    ring::Reader::Frame frame;
    Posted message;
  };

  ring::Writer& writer() { return *writer_; }
  ring::Reader& reader() { return *reader_; }

  std::uint64_t kept_run_blocks() {
    const ring::WriterLine& line = memory_.lines().writer;
    const ring::Run intent = ring::Location(line.intent.load(std::memory_order_relaxed)).run();
    return intent == ring::Location(line.extent.load(std::memory_order_relaxed)).run() ? 0 : intent.count;
  }

  // Mostly small, sometimes to the end of the extent, sometimes as large as a frame may be.
  std::uint64_t some_bytes() {
    const std::uint64_t largest = writer().largest_payload_bytes();
    switch (dice_.roll(0, 20)) {
      case 0:
        return dice_.roll(0, largest);
      case 1:
        return std::min(largest, writer().room_here_bytes() + dice_.roll(0, 16));
      case 2:
        return dice_.roll(0, 2 * memory_.geometry().block_bytes);
      case 3:
      case 4:
      case 5:
        return dice_.roll(0, 600);
      default:
        return dice_.roll(0, 64);
    }
  }

  void write() {
    if (dice_.one_in(20)) writer().prefer_extents_of(static_cast<std::uint32_t>(dice_.roll(0, 5)));
    std::uint64_t bytes = some_bytes();
    std::byte* room = writer().reserve(bytes);
    if (room == nullptr) {
      ++refused_;
      HOLDS(writer().refusal() == ring::Writer::Refusal::full || memory_.refuse_allocation);
      return;
    }
    HOLDS(reinterpret_cast<std::uintptr_t>(room) % 8 == 0);
    const std::uint64_t written = dice_.one_in(4) ? dice_.roll(0, bytes) : bytes;
    write_pattern(room, 0, written, posted_);
    for (int extensions = 0; dice_.one_in(6) && extensions < 3; ++extensions) {
      const std::uint64_t more = std::min(bytes + some_bytes(), writer().largest_payload_bytes());
      if (std::byte* const moved = writer().extend(more, written)) {
        room = moved;
        bytes = more;
      }
      HOLDS(has_pattern(room, written, posted_));
    }
    if (dice_.one_in(16)) return writer().abandon();
    const std::uint64_t sent = dice_.one_in(4) ? dice_.roll(0, bytes) : bytes;
    if (sent > written) write_pattern(room, 0, sent, posted_);
    std::uint64_t body = 0;
    if (sent >= 8 && sent % 8 == 0 && dice_.one_in(4)) {
      body = dice_.roll(1, memory_.geometry().block_bytes);
      commit_large_body(writer(), room, sent, body);
      posted_large_bytes_ += body;
    } else {
      writer().commit(message_header(sent));
    }
    messages_.push_back({sent, body});
    ++posted_;
    posted_bytes_ += sent;
    HOLDS(writer().message_count() == posted_);
  }

  void mark() {
    const std::uint64_t bytes = dice_.one_in(2) ? 0 : dice_.roll(1, 60);
    if (writer().reserve(bytes) == nullptr) return;
    writer().commit(ring::FrameHeader::mark(static_cast<std::uint32_t>(bytes)));
  }

  // Shows what is unread, each message once, and changes nothing.
  void look_ahead() {
    if (dice_.one_in(20)) {
      scout_->start_over();
      seen_ = taken_;
    }
    seen_ = std::max(seen_, taken_);
    ring::Reader::Frame frame;
    for (std::uint64_t most = dice_.roll(1, 40); most != 0 && seen_ < posted_; --most, ++seen_) {
      HOLDS(scout_->look(frame) == ring::Reader::Look::message);
      HOLDS(frame.sequence == seen_);
      const Posted message = messages_[seen_ - first_message_];
      HOLDS(frame.header.payload_bytes() == message.bytes);
      HOLDS(has_pattern(frame.payload, message.pattern_bytes(), seen_));
    }
    if (seen_ != posted_) return;
    HOLDS(scout_->look(frame) == ring::Reader::Look::nothing);
    if (seen_ > taken_) HOLDS(scout_->dry());  // else a mark may lie in front, which is the reader's to pass
  }

  bool take() {
    const std::optional<ring::Reader::Frame> frame = next_message(reader());
    if (!frame) {
      HOLDS(taken_ == posted_);  // nothing is lost
      return false;
    }
    HOLDS(taken_ < posted_);
    HOLDS(frame->sequence == taken_);
    const Posted message = messages_[taken_ - first_message_];
    HOLDS(frame->header.payload_bytes() == message.bytes);
    HOLDS(has_pattern(frame->payload, message.pattern_bytes(), taken_));
    HOLDS(ring::large_body_bytes(frame->header, frame->payload) == message.body_bytes);
    HOLDS(reader().redelivered(taken_) == (taken_ < marked_below_));
    redelivered_ += taken_ < marked_below_ ? 1 : 0;
    reader().take(*frame);
    in_hand_.push_back({*frame, message});
    ++taken_;
    handed_ = std::max(handed_, taken_);
    return true;
  }

  // What needs no closer look, as far as it goes, or until one is not wanted.
  void take_plain(std::uint64_t most) {
    std::vector<lane::Loan> loans(most);
    const std::size_t wanted = dice_.roll(0, most);
    std::size_t shown = 0;
    const auto show = [&](lane::Loan& slot, const lane::Loan& loan) {
      if (shown == wanted) return false;
      HOLDS(&slot == &loans[shown]);
      slot = loan;
      ++shown;
      return true;
    };
    const std::size_t count = reader().take_plain(loans.data(), loans.data() + most, show);
    HOLDS(count == shown);
    loans.resize(count);
    for (const lane::Loan& loan : loans) {
      HOLDS(taken_ < posted_);
      HOLDS(loan.sequence == taken_);
      HOLDS(taken_ >= marked_below_);
      const Posted message = messages_[taken_ - first_message_];
      HOLDS(message.body_bytes == 0);
      HOLDS(loan.header.payload_bytes() == message.bytes);
      HOLDS(has_pattern(loan.payload, message.bytes, taken_));
      HOLDS(reader().bounds().contain(loan.payload));
      auto* const payload = const_cast<std::byte*>(loan.payload);
      ring::Extent* const extent = reader().extent_of(payload);
      const auto offset = static_cast<std::uint64_t>(payload - extent->begin);
      in_hand_.push_back(
          {{loan.header, payload, extent, loan.sequence, offset + ring::round_up_8(message.bytes)}, message});
      ++taken_;
    }
    handed_ = std::max(handed_, taken_);
  }

  void read() {
    if (dice_.one_in(3)) pass_all();
    if (dice_.one_in(5) && in_hand_.size() < 40) take_plain(dice_.roll(1, 20));
    const std::uint64_t batch = dice_.one_in(5) ? dice_.roll(1, 20) : 1;
    for (std::uint64_t count = 0; count < batch && in_hand_.size() < 40 && take(); ++count) {
    }
    while (!in_hand_.empty() && !dice_.one_in(3)) {
      const std::size_t index = dice_.one_in(2) ? 0 : dice_.roll(0, in_hand_.size() - 1);
      if (dice_.one_in(20) && kept_.size() < 10) {
        kept_.push_back(in_hand_[index]);
        kept_.back().frame.extent->hold();
      }
      release_event(index);
    }
    if (!kept_.empty() && dice_.one_in(8)) {
      const std::size_t index = dice_.roll(0, kept_.size() - 1);
      HOLDS(has_pattern(kept_[index].frame.payload, kept_[index].message.pattern_bytes(),
                        kept_[index].frame.sequence));
      let_go_of_kept(kept_[index]);
      kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(index));
    }
    if (dice_.one_in(4)) reader().hand_back_kept();
  }

  void let_go_of_kept(const Held& kept) {
    if (kept.frame.extent->let_go()) reader().hand_back_kept();
  }

  void release_event(std::size_t index) {
    const Held held = in_hand_[index];
    in_hand_.erase(in_hand_.begin() + static_cast<std::ptrdiff_t>(index));
    HOLDS(has_pattern(held.frame.payload, held.message.pattern_bytes(),
                      held.frame.sequence));  // pinned until now
    release(reader(), held.frame);
    let_go(held.message);
    if (in_hand_.empty()) passed_ = taken_;
    if (held.frame.sequence == passed_) ++passed_;
    check_passed();
  }
  void pass_all() {
    reader().pass_all();
    passed_ = taken_;
    check_passed();
  }
  void check_passed() {
    HOLDS(reader().passed_count() == passed_);
    HOLDS(memory_.lines().reader.progress.message_count.load(std::memory_order_relaxed) == passed_);
    for (; first_message_ < passed_; ++first_message_) {
      passed_large_bytes_ += messages_.front().body_bytes;
      messages_.pop_front();
    }
  }
  void let_go(const Posted& message) {
    if (message.body_bytes != 0) reader().count_large_body(message.body_bytes);
    let_go_large_bytes_ += message.body_bytes;
    HOLDS(writer().unread_large_bytes() == posted_large_bytes_ - let_go_large_bytes_);
  }

  void change_hands() {
    ++adoptions_;
    const bool both = dice_.one_in(4);
    const bool writers = dice_.one_in(2), death = dice_.one_in(2);
    if (both || writers) {
      // A dead owner may have had a reservation open.
      if (death && dice_.one_in(2)) static_cast<void>(writer().reserve(some_bytes()));
      if (!death) writer().store_place();
      new_writer(death ? ring::Adoption::after_death : ring::Adoption::after_move);
    }
    if (both || !writers) {
      if (!death) {
        for (const Held& held : in_hand_) let_go(held.message);
        pass_all();
      }
      new_reader(death ? ring::Adoption::after_death : ring::Adoption::after_move);
    }
  }

  void new_writer(ring::Adoption how) {
    writer_.emplace(memory_.lines(), memory_.geometry(), memory_);
    HOLDS(writer().adopt(how));
    HOLDS(writer().message_count() == posted_);
    HOLDS(writer().message_bytes() == posted_bytes_);
    HOLDS(writer().unread_large_bytes() == posted_large_bytes_ - let_go_large_bytes_);
  }
  // What its last owner still looks at is that process's: dead, or a private copy.
  void new_reader(ring::Adoption how) {
    in_hand_.clear();
    kept_.clear();
    reader_.emplace(memory_.lines(), memory_.geometry(), memory_);
    HOLDS(reader().adopt(how));
    scout_.emplace(reader());
    HOLDS(reader().passed_count() == passed_);
    HOLDS(reader().taken_count() == passed_);
    let_go_large_bytes_ = passed_large_bytes_;
    HOLDS(writer().unread_large_bytes() == posted_large_bytes_ - let_go_large_bytes_);
    taken_ = seen_ = passed_;
    marked_below_ = handed_;
  }

  Dice dice_;
  RingMemory memory_;
  bool refusals_;
  std::optional<ring::Writer> writer_;
  std::optional<ring::Reader> reader_;
  std::optional<ring::Scout> scout_;
  std::uint64_t writer_weight_ = 50;
  std::deque<Posted> messages_;  // from first_message_ on
  std::uint64_t first_message_ = 0;
  std::uint64_t posted_ = 0;
  std::uint64_t posted_bytes_ = 0;
  std::uint64_t posted_large_bytes_ = 0;
  std::uint64_t passed_large_bytes_ = 0;
  std::uint64_t let_go_large_bytes_ = 0;  // events may end before and after their message is passed
  std::uint64_t taken_ = 0;
  std::uint64_t passed_ = 0;
  std::uint64_t seen_ = 0;          // ahead of the reader
  std::uint64_t handed_ = 0;        // ever
  std::uint64_t marked_below_ = 0;  // handed out by earlier owners
  std::vector<Held> in_hand_;
  std::vector<Held> kept_;
  std::uint64_t refused_ = 0;
  std::uint64_t redelivered_ = 0;
  std::uint64_t adoptions_ = 0;
};

}  // namespace portolan::testing
