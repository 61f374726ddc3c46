// SPDX-License-Identifier: Apache-2.0

// The layout of a channel's segment: what every process that maps it agrees on, byte for byte.
//
//   0x000  Header                      written once by the creator, then constant
//   0x100  Generation of A, of B       one line each; compare-and-swapped by moves and adoptions
//   0x180  EndpointLine of A, of B     written by the endpoint's owner
//   0x200  DirectionLines A->B         four lines, two block maps, names, the first extent (896 bytes)
//   0x900  DirectionLines B->A
//   0x1000 blocks A->B, then B->A      block_bytes each, block_count a direction
//
// A line has one writer, and the lines written at each message have no line of the other side in their pair
// of 128 bytes. docs/ring-protocol.md is the specification; section names below refer to it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <portolan/lane/read_cursor.hpp>
#include <portolan/lane/shared_word.hpp>
#include <portolan/lane/write_cursor.hpp>

namespace portolan::ring {

inline constexpr std::size_t kLineBytes = 64;
inline constexpr std::size_t kControlBytes = 4096;
inline constexpr std::size_t kNameTableBytes = 384;
inline constexpr std::size_t kFirstExtentBytes = 896;
inline constexpr std::uint32_t kMaxBlocks = 1024;
inline constexpr std::uint64_t kMagic = 0x4e414c4f54524f50;  // "PORTOLAN"
inline constexpr std::uint32_t kLayoutVersion = 5;

enum class Side : std::uint8_t { a = 0, b = 1 };
constexpr Side other(Side side) noexcept {
  return side == Side::a ? Side::b : Side::a;
}

struct ChannelId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const ChannelId&, const ChannelId&) = default;
};

struct Header {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint8_t trust;  // portolan::Trust; fixed at birth
  std::uint8_t zero[3];
  ChannelId id;
  std::uint64_t segment_bytes;
  std::uint64_t block_bytes;
  std::uint32_t block_count;  // a direction
  std::uint32_t creator_pid;
  std::uint64_t limit_bytes;  // unread bytes a direction may hold
  char label[64];             // zero-terminated, for people and tools
  std::uint8_t reserved[128];
};

// Even: owned. Odd: in transit. A move adds one, the adoption that ends it adds one more.
struct alignas(kLineBytes) GenerationLine {
  lane::SharedWord<std::uint64_t> value;
};

struct alignas(kLineBytes) EndpointLine {
  lane::SharedWord<std::uint32_t> closed;  // portolan::port::Closed; 0 while open
  lane::SharedWord<std::uint32_t> owner_pid;
  lane::SharedWord<std::uint64_t> adoption_count;
};

// Written by whoever owns the direction's writing endpoint.
struct alignas(kLineBytes) WriterLine {
  lane::SharedWord<std::uint64_t> extent;  // Location of the extent being written ("The writer's place")
  lane::SharedWord<std::uint64_t> intent;  // the run being taken ("Taking blocks")
  lane::SharedWord<std::uint64_t> next_transfer;  // number of the last packet announced ("Transfer")
  lane::Posted posted;
  lane::SharedWord<std::uint64_t> large_bytes;  // posted in files of their own
  lane::SharedWord<std::uint32_t> unfenced;     // 0: this writer fences after each publication ("Sleeping")
  lane::SharedWord<std::uint32_t> name_bytes;   // of the names told ("Names")
};

// Written by whoever owns the direction's reading endpoint.
struct alignas(kLineBytes) ReaderLine {
  lane::Progress progress;
  lane::SharedWord<std::uint64_t> large_bytes;     // passed, of those in files of their own
  lane::SharedWord<std::uint64_t> taken_transfer;  // number of the last packet asked for
  std::uint64_t zero;
};

// Written by the sleeper alone ("Sleeping"). `at` is where it looks, for a waker that has no header of its
// own.
struct alignas(kLineBytes) SleepLine {
  lane::SharedWord<std::uint64_t> word;
  lane::SharedWord<std::uint64_t> at;
  // A reader's alone: extents handed back, the futex of a writer that waits for room. It stands here because
  // a writer that looks at it takes the line, and the reader writes that of its progress at each message.
  lane::SharedWord<std::uint32_t> release_count;
};

using BlockMapWords = std::array<lane::SharedWord<std::uint64_t>, kMaxBlocks / 64>;

struct DirectionLines {
  WriterLine writer;
  SleepLine writer_sleep;
  ReaderLine reader;
  SleepLine reader_sleep;
  alignas(kLineBytes) BlockMapWords alloc;  // toggled by the writer; a block is free when both bits are equal
  alignas(kLineBytes) BlockMapWords rel;    // toggled by the reader
  alignas(kLineBytes) std::byte names[kNameTableBytes];  // appended to by the writer
  alignas(kLineBytes) std::byte first_extent[kFirstExtentBytes];
};

struct ControlPage {
  Header header;
  GenerationLine generation[2];  // by Side
  EndpointLine endpoint[2];      // by Side
  DirectionLines direction[2];   // by the Side that writes
};

static_assert(lane::SharedWord<std::uint64_t>::is_always_lock_free &&
              lane::SharedWord<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(lane::SharedWord<std::uint64_t>) == 8 && sizeof(lane::SharedWord<std::uint32_t>) == 4);
static_assert(std::is_standard_layout_v<ControlPage>);
static_assert(sizeof(Header) == 256);
static_assert(offsetof(Header, magic) == 0 && offsetof(Header, layout_version) == 8 &&
              offsetof(Header, trust) == 12);
static_assert(offsetof(Header, id) == 16 && offsetof(Header, segment_bytes) == 32 &&
              offsetof(Header, block_bytes) == 40);
static_assert(offsetof(Header, block_count) == 48 && offsetof(Header, creator_pid) == 52);
static_assert(offsetof(Header, limit_bytes) == 56 && offsetof(Header, label) == 64 &&
              offsetof(Header, reserved) == 128);
static_assert(sizeof(GenerationLine) == 64 && sizeof(EndpointLine) == 64 && sizeof(SleepLine) == 64);
static_assert(sizeof(WriterLine) == 64 && offsetof(WriterLine, extent) == 0 &&
              offsetof(WriterLine, intent) == 8);
static_assert(offsetof(WriterLine, next_transfer) == 16 && offsetof(WriterLine, posted) == 24);
static_assert(offsetof(lane::Posted, message_count) == 0 && offsetof(lane::Posted, message_bytes) == 8);
static_assert(offsetof(WriterLine, large_bytes) == 40);
static_assert(offsetof(WriterLine, unfenced) == 48 && offsetof(WriterLine, name_bytes) == 52);
static_assert(sizeof(ReaderLine) == 64 && offsetof(ReaderLine, progress) == 0);
static_assert(offsetof(lane::Progress, cursor) == 0 && offsetof(lane::Progress, handed_count) == 8);
static_assert(offsetof(lane::Progress, message_count) == 16 && offsetof(lane::Progress, message_bytes) == 24);
static_assert(offsetof(ReaderLine, large_bytes) == 32 && offsetof(ReaderLine, taken_transfer) == 40);
static_assert(offsetof(SleepLine, release_count) == 16);
static_assert(offsetof(EndpointLine, closed) == 0 && offsetof(EndpointLine, owner_pid) == 4);
static_assert(offsetof(EndpointLine, adoption_count) == 8 && offsetof(SleepLine, at) == 8);
static_assert(sizeof(BlockMapWords) == 128 && sizeof(DirectionLines) == 0x700);
static_assert(offsetof(DirectionLines, writer_sleep) == 0x40 && offsetof(DirectionLines, reader) == 0x80);
static_assert(offsetof(DirectionLines, reader_sleep) == 0xc0 && offsetof(DirectionLines, alloc) == 0x100);
static_assert(offsetof(DirectionLines, rel) == 0x180 && offsetof(DirectionLines, names) == 0x200);
static_assert(offsetof(DirectionLines, first_extent) == 0x380);
static_assert(offsetof(ControlPage, generation) == 0x100 && offsetof(ControlPage, endpoint) == 0x180);
static_assert(offsetof(ControlPage, direction) == 0x200 && sizeof(ControlPage) == kControlBytes);

}  // namespace portolan::ring
