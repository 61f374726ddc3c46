// SPDX-License-Identifier: Apache-2.0

// Names that a direction's writer has told its reader, each under a number: appended one by one, never
// changed, and read only when somebody asks what a number means. Bytes, here; what they name is the ring's
// users' business. docs/ring-protocol.md: "Names".
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ring/layout.hpp"

namespace portolan::ring {

inline constexpr std::size_t kNameHeadBytes = 5;  // a number of 4 bytes and a length of 1
inline constexpr std::size_t kMostNameBytes = 255;
inline constexpr std::size_t kMostNames = kNameTableBytes / kNameHeadBytes;

// A private copy of a table that its writer may be changing, or have filled with anything.
class NameList {
 public:
  explicit NameList(const DirectionLines& lines) noexcept;

  // The name told under `number`; empty if none was, or one of no bytes.
  std::span<const std::byte> find(std::uint32_t number) const noexcept;
  // Calls `see(number)` for each entry.
  template <class See>
  void for_each(See&& see) const {
    for (std::size_t at = 0; at < whole_bytes_; at += entry_bytes(at)) see(number_at(at));
  }
  // Of the entries that are whole: the next one belongs behind them.
  std::size_t whole_bytes() const noexcept { return whole_bytes_; }

 private:
  std::uint32_t number_at(std::size_t at) const noexcept;
  std::size_t entry_bytes(std::size_t at) const noexcept {
    return kNameHeadBytes + std::to_integer<std::size_t>(bytes_[at + 4]);
  }

  std::array<std::byte, kNameTableBytes> bytes_;
  std::size_t whole_bytes_ = 0;
};

// The writer's half: the posting thread's.
class NameTable {
 public:
  explicit NameTable(DirectionLines& lines) noexcept : lines_(&lines) {}

  // Goes on behind what the owners before this one have told.
  void adopt() noexcept;
  // Whether it was the one told last, in a word.
  bool told_last(std::uint32_t number) const noexcept { return last_ == number; }
  // Tells `name` under `number`, unless that was done or there is no room: then its reader does without.
  void tell(std::uint32_t number, std::span<const std::byte> name) noexcept;

 private:
  bool told(std::uint32_t number) const noexcept {
    const auto end = told_.begin() + static_cast<std::ptrdiff_t>(told_count_);
    return std::find(told_.begin(), end, number) != end;
  }

  DirectionLines* lines_;
  std::uint64_t last_ = ~std::uint64_t{0};  // no number
  std::size_t used_bytes_ = 0;
  std::size_t told_count_ = 0;
  std::array<std::uint32_t, kMostNames> told_;
};

}  // namespace portolan::ring
