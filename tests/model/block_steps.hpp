// SPDX-License-Identifier: Apache-2.0

// The steps of the block enumeration, one load or store each: the writer's and its adopter's, the reader's
// and its adopter's. The order of the cases is the order of the protocol (docs/ring-protocol.md).
#pragma once

#include <cstdint>
#include <utility>

#include "block_state.hpp"

namespace model {

// One step of the writer; false: it has none (finished, or waiting for room).
inline bool start_message(State& s, std::uint8_t len, const Sizes& sizes, const Rules& rules) {
  Writer& w = s.writer;
  if (w.id > sizes.messages) return false;
  w.len = len;
  if (w.pos + len + 1 <= w.end) {
    w.at = w.pos;
    w.step = WriterStep::zero_next;
    return true;
  }
  const std::uint8_t count = len;  // len cells and a JUMP: one block for 1, two for 2
  if (w.kept.count != 0) {
    if (w.kept.count >= count) {
      w.run = std::exchange(w.kept, Run{});
      w.at = start_of(w.run);
      w.step = WriterStep::zero_next;
    } else {
      w.step = WriterStep::empty_zero;  // too small for this message: it goes to the reader empty
    }
    return true;
  }
  for (std::uint8_t block = 0; block + count <= sizes.blocks; ++block) {
    if (((s.word[kAlloc] ^ s.word[kRel]) & run_mask({block, count})) != 0) continue;
    w.run = {block, count};
    w.at = start_of(w.run);
    w.step = rules.intent_before_alloc ? WriterStep::intent : WriterStep::alloc;
    return true;
  }
  return false;
}

inline void toggle_alloc(State& s) {
  Writer& w = s.writer;
  const auto bit = static_cast<std::uint8_t>(1U << (w.run.block + w.toggled));
  w.alloc = static_cast<std::uint8_t>(w.alloc ^ bit);
  s.store(w.stores, kAlloc, w.alloc);
  ++w.toggled;
}

inline void finish_message(Writer& w) {
  w.pos = static_cast<std::uint8_t>(w.at + w.len);
  if (w.allocating()) w.end = end_of(w.run);
  w.run = {};
  w.toggled = 0;
  ++w.id;
  w.step = WriterStep::idle;
}

// The order of a frame's stores; `jump_first`, `intent_last`, ... are mutations of it.
inline bool write_step(State& s, const Rules& rules) {
  Writer& w = s.writer;
  const auto message = static_cast<std::uint8_t>(w.id);
  switch (w.step) {
    case WriterStep::intent:
      s.store(w.stores, kIntent, pack_run(w.run));
      w.step = rules.intent_before_alloc ? WriterStep::alloc : WriterStep::zero_next;
      return true;
    case WriterStep::alloc:
      toggle_alloc(s);
      if (w.toggled < w.run.count) return true;
      w.step = rules.intent_before_alloc ? WriterStep::zero_next : WriterStep::intent;
      if (!rules.frame_before_jump && rules.intent_before_alloc) w.step = WriterStep::jump;
      return true;
    case WriterStep::zero_next:
      if (rules.zero_next_header) s.store(w.stores, cell(w.at + w.len), 0);
      w.step = w.len > 1 ? WriterStep::body : WriterStep::header;
      return true;
    case WriterStep::body:
      s.store(w.stores, cell(w.at + 1), body(message));
      w.step = WriterStep::header;
      return true;
    case WriterStep::header:
      if (w.allocating()) {
        s.store(w.stores, cell(w.at), frame(w.len, message));
        w.step = rules.frame_before_jump && rules.extent_after_jump ? WriterStep::jump : WriterStep::extent;
      } else {
        s.publish(w.stores, cell(w.at), frame(w.len, message), pack(w.pos + w.len, w.end), message);
        finish_message(w);
      }
      return true;
    case WriterStep::jump:
      s.publish(w.stores, cell(w.pos), jump(w.run), pack(w.at + w.len, end_of(w.run)), message);
      w.step = rules.frame_before_jump ? WriterStep::extent : WriterStep::zero_next;
      if (!rules.extent_after_jump) finish_message(w);
      return true;
    case WriterStep::extent:
      if (rules.extent_before_intent) s.store(w.stores, kExtent, place(start_of(w.run), 0, end_of(w.run)));
      if (rules.extent_after_jump) {
        finish_message(w);
      } else {
        w.step = WriterStep::jump;
      }
      return true;
    default:
      return false;
  }
}

// Adopting a writer's end: from the stored extent along frames and JUMPs to the write head. A run that
// `intent` names and no JUMP leads into is kept for the next extent.
inline bool adopt_writer_step(State& s, const Rules& rules) {
  Writer& w = s.writer;
  if (w.step == WriterStep::adopt) {
    w.alloc = static_cast<std::uint8_t>(s.word[kAlloc]);
    w.pos = begin_of(s.word[kExtent]);
    w.end = low(s.word[kExtent]);
    std::uint8_t begin = w.pos;
    s.walk_to_head(begin, w.pos, w.end);
    if (rules.adopter_stores_extent) s.store(w.stores, kExtent, place(begin, 0, w.end));
    const Run intent = unpack_run(s.word[kIntent]);
    w.id = static_cast<std::uint8_t>(s.committed + 1);
    w.step = WriterStep::idle;
    if (intent.count == 0 || end_of(intent) == w.end || !rules.adopter_looks_at_intent) return true;
    w.run = intent;
    w.step = WriterStep::settle;
  } else if (w.step == WriterStep::settle) {  // the dead owner may have toggled only some of the run's blocks
    const auto mask = static_cast<std::uint8_t>(1U << (w.run.block + w.toggled));
    const Word wanted = rules.intent_is_kept ? static_cast<Word>(~s.word[kRel]) : s.word[kRel];
    w.alloc = static_cast<std::uint8_t>((w.alloc & ~mask) | (wanted & mask));
    s.store(w.stores, kAlloc, w.alloc);
    if (++w.toggled < w.run.count) return true;
    w.toggled = 0;
    if (rules.intent_is_kept) w.kept = w.run;
    w.run = {};
    w.step = WriterStep::idle;
  } else if (w.step == WriterStep::empty_zero) {
    s.store(w.stores, cell(start_of(w.kept)), 0);
    w.step = WriterStep::empty_jump;
  } else if (w.step == WriterStep::empty_jump) {
    s.publish(w.stores, cell(w.pos), jump(w.kept), pack(start_of(w.kept), end_of(w.kept)), 0);
    w.pos = start_of(w.kept);
    w.end = end_of(w.kept);
    w.run = std::exchange(w.kept, Run{});
    w.at = w.pos;
    w.len = 0;
    --w.id;  // no message of its own
    w.step = WriterStep::extent;
  } else {
    return false;
  }
  return true;
}

inline void release(State& s, unsigned block) {
  Reader& r = s.reader;
  r.rel = static_cast<std::uint8_t>(r.rel ^ (1U << block));
  s.store(r.stores, kRel, r.rel);
}

// Adopting a reader's end: `alloc` first, `intent` second. What differs, is not the intent, not the cursor's
// extent and is not jumped into later was left by the dead reader and not released.
inline bool adopt_reader_step(State& s, const Rules& rules) {
  Reader& r = s.reader;
  if (r.step == ReaderStep::adopt) {
    r.begin = begin_of(s.word[kCursor]);
    r.pos = high(s.word[kCursor]);
    r.end = low(s.word[kCursor]);
    r.low_block = block_of(r.begin);
    r.rel = static_cast<std::uint8_t>(s.word[kRel]);
    r.first_look = static_cast<std::uint8_t>(rules.alloc_before_intent ? s.word[kAlloc] : s.word[kIntent]);
    r.step = ReaderStep::adopt_second;
    return true;
  }
  if (r.step != ReaderStep::adopt_second) return false;
  const Word alloc = rules.alloc_before_intent ? r.first_look : s.word[kAlloc];
  r.intent = unpack_run(rules.alloc_before_intent ? s.word[kIntent] : r.first_look);
  r.suspects = static_cast<std::uint8_t>(alloc ^ r.rel);
  if (rules.intent_is_no_suspect) r.suspects &= static_cast<std::uint8_t>(~run_mask(r.intent));
  const unsigned first = rules.cursor_knows_its_extent ? block_of(r.begin) : block_of(r.pos);
  const unsigned past = rules.cursor_knows_its_extent ? block_of(r.end) : block_of(r.pos) + 1U;
  for (unsigned block = first; r.pos >= kFirstCells && block < past; ++block) {
    r.suspects &= static_cast<std::uint8_t>(~(1U << block));
  }
  r.first_look = 0;
  r.settling = true;
  r.release_rest = !rules.rest_waits || end_of(r.intent) == r.end;
  r.step = r.release_rest ? ReaderStep::rest : ReaderStep::look;
  return true;
}

inline bool follow_jump(State& s, Run target, const Rules& rules) {
  Reader& r = s.reader;
  if (rules.jumped_into_struck_off) r.suspects &= static_cast<std::uint8_t>(~run_mask(target));
  if (r.settling && r.intent.count != 0 && end_of(target) == end_of(r.intent)) r.release_rest = true;
  r.target = target;
  if (!rules.cursor_before_rel) {
    r.step = ReaderStep::leave;
    return true;
  }
  s.store(r.stores, kCursor, place(start_of(target), start_of(target), end_of(target)));
  r.step = ReaderStep::leave;
  return true;
}

inline bool look(State& s, const Rules& rules) {
  Reader& r = s.reader;
  if (r.settling && r.release_rest) {
    r.step = ReaderStep::rest;
    return true;
  }
  const Word header = s.word[cell(r.pos)];
  if (header == 0) {
    if (!r.settling || !rules.dry_releases_rest) return false;
    r.step = ReaderStep::rest;
    return true;
  }
  if (is_jump(header)) return follow_jump(s, unpack_run(header & 0x1F), rules);
  s.deliver(header);
  r.step = ReaderStep::in_hand;
  return true;
}

inline bool read_step(State& s, const Rules& rules) {
  Reader& r = s.reader;
  switch (r.step) {
    case ReaderStep::look:
      return look(s, rules);
    case ReaderStep::in_hand:  // the cursor passes the message; until here its cells must not change
      s.check_in_hand(s.word[cell(r.pos)]);
      r.pos = static_cast<std::uint8_t>(r.pos + frame_len(s.word[cell(r.pos)]));
      s.store(r.stores, kCursor, place(r.begin, r.pos, r.end));
      r.step = rules.whole_extent_handed_back ? ReaderStep::look : ReaderStep::left;
      return true;
    case ReaderStep::left:  // the rejected way: at once what lies behind the cursor
      if (r.pos >= kFirstCells && r.low_block < block_of(r.pos)) {
        release(s, r.low_block++);
      } else {
        r.step = ReaderStep::look;
      }
      return true;
    case ReaderStep::leave:  // blocks of the extent that a JUMP leads out of
      if (r.pos >= kFirstCells && r.low_block < block_of(r.end)) {
        release(s, r.low_block++);
        return true;
      }
      if (!rules.cursor_before_rel)
        s.store(r.stores, kCursor, place(start_of(r.target), start_of(r.target), end_of(r.target)));
      r.begin = r.pos = start_of(r.target);
      r.end = end_of(r.target);
      r.low_block = r.target.block;
      r.target = {};
      r.step = ReaderStep::look;
      return true;
    case ReaderStep::rest:
      for (unsigned block = 0; block < kMaxBlocks; ++block) {
        if ((r.suspects & (1U << block)) == 0) continue;
        r.suspects &= static_cast<std::uint8_t>(~(1U << block));
        release(s, block);
        return true;
      }
      r.settling = r.release_rest = false;
      r.intent = {};
      r.step = ReaderStep::look;
      return true;
    default:
      return adopt_reader_step(s, rules);
  }
}

}  // namespace model
