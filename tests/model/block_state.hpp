// SPDX-License-Identifier: Apache-2.0

// The state of the block enumeration: shared words, each side's store buffer and private words, and what the
// checks know (ghosts). A cell holds a header, or the body of a two-cell frame; blocks have two cells.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace model {

inline constexpr unsigned kMaxBlocks = 4;
inline constexpr unsigned kFirstCells = 2;  // the first extent lies in the control page and is used once
inline constexpr unsigned kCells = kFirstCells + 2 * kMaxBlocks;

struct Run {
  std::uint8_t block, count;
};

// Words of shared memory: the cells, then these. Each has one writer.
enum : std::uint8_t { kIntent = kCells, kAlloc, kExtent, kRel, kCursor, kWords };
using Word = std::uint16_t;

constexpr std::uint8_t cell(unsigned position) {
  return static_cast<std::uint8_t>(position);
}
constexpr std::uint8_t pack(unsigned position, unsigned end) {
  return static_cast<std::uint8_t>(position << 4 | end);
}
constexpr std::uint8_t high(Word word) {
  return static_cast<std::uint8_t>(word >> 4 & 15);
}
constexpr std::uint8_t low(Word word) {
  return static_cast<std::uint8_t>(word & 15);
}
constexpr Word place(unsigned begin, unsigned position,
                     unsigned end) {  // where a cursor stands, and in which extent
  return static_cast<Word>(begin << 8 | position << 4 | end);
}
constexpr std::uint8_t begin_of(Word word) {
  return static_cast<std::uint8_t>(word >> 8);
}
constexpr std::uint8_t pack_run(Run run) {
  return static_cast<std::uint8_t>(run.block << 2 | run.count);
}
constexpr Run unpack_run(Word word) {
  return {static_cast<std::uint8_t>(word >> 2 & 7), static_cast<std::uint8_t>(word & 3)};
}
constexpr std::uint8_t run_mask(Run run) {
  return static_cast<std::uint8_t>(((1U << run.count) - 1) << run.block);
}
constexpr std::uint8_t start_of(Run run) {
  return static_cast<std::uint8_t>(kFirstCells + 2 * run.block);
}
constexpr std::uint8_t end_of(Run run) {
  return static_cast<std::uint8_t>(kFirstCells + 2 * (run.block + run.count));
}
constexpr std::uint8_t block_of(unsigned position) {
  return position < kFirstCells ? 0 : static_cast<std::uint8_t>((position - kFirstCells) / 2);
}

// Cells: 0 nothing | 0x20+ a frame of 1 | 0x40+ a frame of 2 | 0x60+ its body | 0x80+ JUMP to a run.
constexpr std::uint8_t frame(unsigned len, unsigned message) {
  return static_cast<std::uint8_t>(len << 5 | message);
}
constexpr std::uint8_t body(unsigned message) {
  return static_cast<std::uint8_t>(0x60 | message);
}
constexpr std::uint8_t jump(Run run) {
  return static_cast<std::uint8_t>(0x80 | pack_run(run));
}
constexpr bool is_jump(Word header) {
  return (header & 0x80) != 0;
}
constexpr std::uint8_t frame_len(Word header) {
  return static_cast<std::uint8_t>(header >> 5 & 3);
}
constexpr std::uint8_t kJunk = frame(1, 31);  // what a block that was used before holds

struct Store {
  Word value;
  std::uint8_t word, head, message, padding;  // head, message: for the ghosts, when this store publishes
};

struct StoreBuffer {
  std::array<Store, 3> pending;
  Word count;
  bool has_room() const { return count < pending.size(); }
};

enum class WriterStep : std::uint8_t {
  idle,
  intent,
  alloc,
  zero_next,
  body,
  header,
  jump,
  extent,
  adopt,
  settle,
  empty_zero,
  empty_jump,
  dead
};
enum class ReaderStep : std::uint8_t { look, in_hand, left, leave, rest, adopt, adopt_second, dead };

struct Writer {
  WriterStep step;
  std::uint8_t pos, end, at, len, id, toggled, alloc;
  Run run;   // being taken
  Run kept;  // taken by a killed owner and not published: the next extent
  StoreBuffer stores;
  bool allocating() const { return run.count != 0; }
};

struct Reader {
  ReaderStep step;
  std::uint8_t pos, end, begin, low_block, rel, suspects, first_look;
  Run target, intent;
  bool settling, release_rest;
  StoreBuffer stores;
};

struct Sizes {
  std::uint8_t blocks = 3, messages = 4, writer_kills = 1, reader_kills = 1;
};

struct State {
  std::array<Word, kWords> word;
  Writer writer;
  Reader reader;
  std::uint8_t committed, delivered, in_hand, again, head, writer_kills, reader_kills, padding;
  const char* violation;

  bool operator==(const State& other) const { return std::memcmp(this, &other, sizeof *this) == 0; }

  static State initial(const Sizes&) {
    State s;
    std::memset(static_cast<void*>(&s), 0, sizeof s);
    for (unsigned i = kFirstCells; i < kCells; ++i) s.word[i] = kJunk;
    s.word[kExtent] = s.word[kCursor] = place(0, 0, kFirstCells);
    s.writer.end = s.reader.end = kFirstCells;
    s.writer.id = 1;
    s.head = pack(0, kFirstCells);
    return s;
  }

  void blame(const char* what) {
    if (violation == nullptr) violation = what;
  }
  void store(StoreBuffer& stores, std::uint8_t address, Word value) {
    stores.pending[stores.count++] = {value, address, 0, 0, 0};
  }
  void publish(StoreBuffer& stores, std::uint8_t address, Word value, std::uint8_t new_head,
               std::uint8_t id) {
    stores.pending[stores.count++] = {value, address, new_head, id, 0};
  }
  bool drain(StoreBuffer& stores) {
    const Store oldest = stores.pending[0];
    stores.pending[0] = stores.pending[1];
    stores.pending[1] = stores.pending[2];
    stores.pending[2] = {};
    --stores.count;
    word[oldest.word] = oldest.value;
    if (oldest.head != 0) head = oldest.head;
    if (oldest.message != 0) committed = oldest.message;
    return true;
  }

  // A killed side keeps its store buffer (the processor drains it); its private words are gone.
  bool kill_writer() {
    const StoreBuffer kept = writer.stores;
    std::memset(static_cast<void*>(&writer), 0, sizeof writer);
    writer.stores = kept;
    writer.step = WriterStep::dead;
    ++writer_kills;
    return true;
  }
  bool kill_reader() {
    const StoreBuffer kept = reader.stores;
    std::memset(static_cast<void*>(&reader), 0, sizeof reader);
    reader.stores = kept;
    reader.step = ReaderStep::dead;
    in_hand = 0;
    again = 1;
    ++reader_kills;
    return true;
  }
  bool revive_writer() {
    writer.step = WriterStep::adopt;
    return true;
  }
  bool revive_reader() {
    reader.step = ReaderStep::adopt;
    return true;
  }

  void walk_to_head(std::uint8_t& begin, std::uint8_t& pos, std::uint8_t& end) {
    for (unsigned steps = 0; pos < end && end <= kCells && steps < 2 * kCells; ++steps) {
      const Word header = word[cell(pos)];
      if (header == 0) break;
      if (is_jump(header)) {
        const Run run = unpack_run(header & 0x1F);
        begin = pos = start_of(run);
        end = end_of(run);
      } else {
        pos = static_cast<std::uint8_t>(pos + frame_len(header));
      }
    }
    if (pack(pos, end) != head) blame("the writer's adopter does not find the write head");
  }

  void deliver(Word header) {
    const auto id = static_cast<std::uint8_t>(header & 31);
    if (id != delivered + 1 && !(again == 1 && id == delivered))
      blame("a message lost, twice, or out of order");
    if (id > committed) blame("a message that was never committed");
    if (frame_len(header) == 2 && word[cell(reader.pos + 1)] != body(id)) blame("a torn message");
    delivered = id;
    in_hand = static_cast<std::uint8_t>(header);
    again = 0;
  }
  void check_in_hand(Word header) {
    const bool torn = frame_len(in_hand) == 2 && word[cell(reader.pos + 1)] != body(in_hand & 31);
    if (header != in_hand || torn) blame("a message was overwritten in the reader's hand");
    in_hand = 0;
  }

  // Nothing going on: the blocks of the cursor's extent and of a run kept for the next one differ, all else
  // is free.
  void check_quiescent(bool dry_reader_settles) {
    if (writer.step != WriterStep::idle || writer.stores.count > 0 || reader.stores.count > 0) return;
    if (reader.step != ReaderStep::look || (reader.settling && dry_reader_settles)) return;
    if (reader.pos != writer.pos || reader.end != writer.end || word[cell(reader.pos)] != 0) return;
    if (committed != delivered) blame("a committed message was not delivered");
    std::uint8_t held = 0;
    for (unsigned b = reader.low_block; reader.pos >= kFirstCells && b < block_of(reader.end); ++b) {
      held = static_cast<std::uint8_t>(held | 1U << b);
    }
    held = static_cast<std::uint8_t>(held | run_mask(writer.kept));
    if ((word[kAlloc] ^ word[kRel]) != held) blame("blocks leaked, or free though in use");
  }

  void print(const char* step) const {
    static constexpr std::string_view kLetter = "0123456789abcdef";
    std::printf("%-32s cells ", step);
    for (unsigned i = 0; i < kCells; ++i) std::printf("%02x%s", word[i], i % 2 == 1 ? " " : "");
    std::printf(
        "alloc %x rel %x intent %d+%d extent %d cursor %d | writer step %c, %d stores | reader step %c, %d "
        "stores%s%s\n",
        word[kAlloc], word[kRel], unpack_run(word[kIntent]).block, unpack_run(word[kIntent]).count,
        begin_of(word[kExtent]), high(word[kCursor]), kLetter[static_cast<unsigned>(writer.step)],
        writer.stores.count, kLetter[static_cast<unsigned>(reader.step)], reader.stores.count,
        violation != nullptr ? "  <- " : "", violation != nullptr ? violation : "");
  }
};

// The rules. Each can be dropped, and then something must go wrong.
struct Rules {
  bool frame_before_jump = true;         // the whole frame is in the run before JUMP is published
  bool zero_next_header = true;          // the next header is zeroed before this one is stored
  bool intent_before_alloc = true;       // intent is stored before alloc is toggled
  bool extent_after_jump = true;         // the writer's extent is stored after the JUMP into it
  bool extent_before_intent = true;      // ... and before the next run is taken
  bool adopter_stores_extent = true;     // ... by an adopter, too, whose walk ended in another one
  bool whole_extent_handed_back = true;  // an extent's blocks are handed back when it is left, not one by one
  bool adopter_looks_at_intent = true;   // a writer's adopter looks whether the intent is the last extent
  bool intent_is_kept =
      true;  // ... and if not, keeps that run for its next extent; alloc is never taken back
  bool cursor_before_rel = true;  // the cursor is in the new extent before the old one's blocks are released
  bool cursor_knows_its_extent = true;  // the cursor's word names its extent too
  bool alloc_before_intent = true;      // a reader's adopter loads alloc, then intent
  bool intent_is_no_suspect = true;     // what differs and is in the intent was not left behind
  bool jumped_into_struck_off = true;   // neither was what the reader jumps into later
  bool rest_waits =
      true;  // suspects are released when the intent's run comes or the ring is dry, not at once
  bool dry_releases_rest = true;  // ... and when it is dry, too

  bool drop(std::string_view rule) {
    const std::array<std::pair<std::string_view, bool*>, 16> names{{
        {"frame_before_jump", &frame_before_jump},
        {"zero_next_header", &zero_next_header},
        {"intent_before_alloc", &intent_before_alloc},
        {"extent_after_jump", &extent_after_jump},
        {"extent_before_intent", &extent_before_intent},
        {"adopter_stores_extent", &adopter_stores_extent},
        {"whole_extent_handed_back", &whole_extent_handed_back},
        {"adopter_looks_at_intent", &adopter_looks_at_intent},
        {"intent_is_kept", &intent_is_kept},
        {"cursor_before_rel", &cursor_before_rel},
        {"cursor_knows_its_extent", &cursor_knows_its_extent},
        {"alloc_before_intent", &alloc_before_intent},
        {"intent_is_no_suspect", &intent_is_no_suspect},
        {"jumped_into_struck_off", &jumped_into_struck_off},
        {"rest_waits", &rest_waits},
        {"dry_releases_rest", &dry_releases_rest},
    }};
    for (const auto& [name, flag] : names) {
      if (name != rule) continue;
      *flag = false;
      return true;
    }
    return false;
  }
};

}  // namespace model
