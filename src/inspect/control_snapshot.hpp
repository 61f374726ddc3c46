// SPDX-License-Identifier: Apache-2.0

// A channel's control page as it was at one moment: a private copy, checked. Any process that ever held an
// end may have written anything there, so every count is only believed as far as it can be true.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ring/block_map.hpp"
#include "ring/geometry.hpp"
#include "ring/layout.hpp"
#include "ring/sleep_word.hpp"

namespace portolan::inspect {

/// What a writer has told of a type that it posts values of.
struct TypeName {
  std::uint32_t fingerprint = 0;
  std::string name;  // fit to be shown
};

/// What one direction's writer and reader have stored.
struct DirectionSnapshot {
  std::uint64_t extent_place = 0;  // a ring::Location
  std::uint64_t intent_run = 0;
  std::uint64_t cursor_place = 0;  // a ring::Location
  std::uint64_t posted_messages = 0;
  std::uint64_t posted_bytes = 0;
  std::uint64_t posted_large_bytes = 0;
  std::uint64_t handed_messages = 0;
  std::uint64_t read_messages = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t read_large_bytes = 0;
  std::uint64_t announced_transfers = 0;
  std::uint64_t taken_transfers = 0;
  std::uint32_t hand_backs = 0;
  bool writer_fences = false;
  ring::SleepState reader_sleep = ring::SleepState::awake;
  ring::SleepState writer_sleep = ring::SleepState::awake;
  std::uint32_t blocks_taken = 0;
  std::vector<TypeName> type_names;

  /// 0 where the two counts contradict each other: the page is written while it is read.
  [[nodiscard]] std::uint64_t unread_messages() const noexcept;
  /// Those in files of their own included.
  [[nodiscard]] std::uint64_t unread_bytes() const noexcept;
  /// Packets with ports or descriptors that wait in the socket, as far as the counters say.
  [[nodiscard]] std::uint64_t unread_transfers() const noexcept;
};

struct EndSnapshot {
  std::uint64_t generation = 0;
  std::uint32_t closed = 0;     // 0 while open, else the CloseReason and one
  std::uint32_t owner_pid = 0;  // as the owner sees itself; 0: nobody has adopted it yet
  std::uint64_t adoption_count = 0;

  [[nodiscard]] bool in_transit() const noexcept { return (generation & 1) != 0; }
};

struct ControlSnapshot {
  ring::ChannelId id;
  bool foreign = false;
  std::uint32_t creator_pid = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t limit_bytes = 0;
  ring::Geometry geometry;
  std::string label;                                  // fit to be shown
  std::array<EndSnapshot, 2> end;                     // by ring::Side
  std::array<DirectionSnapshot, 2> direction;         // by the ring::Side that writes
  std::array<std::byte, ring::kControlBytes> page{};  // the copy that all of this was read from
};

using ControlPageBytes = std::span<const std::byte, ring::kControlBytes>;

/// Reads a private copy of a control page that lies in a file of `file_bytes`. Returns what is wrong with it,
/// empty if nothing is; `into` is untouched then.
[[nodiscard]] std::string read_control(ControlPageBytes page, std::uint64_t file_bytes,
                                       ControlSnapshot& into);

/// 32 hexadecimal digits, as ChannelInfo has them.
[[nodiscard]] std::string to_text(const ring::ChannelId& id);

}  // namespace portolan::inspect
