// SPDX-License-Identifier: Apache-2.0

// Fixed-width numbers in little-endian byte order, in memory of any alignment.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>

namespace portolan::wire {

static_assert(std::endian::native == std::endian::little,
              "the formats are little-endian and written with memcpy");

/// The number at `offset`, which lies inside `bytes`.
template <std::unsigned_integral Number>
[[nodiscard]] Number get(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

template <std::unsigned_integral Number>
void put(std::span<std::byte> bytes, std::size_t offset, Number number) noexcept {
  std::memcpy(bytes.data() + offset, &number, sizeof number);
}

/// A copy of the first bytes of memory that somebody else may be writing: each is loaded once, and the
/// compiler may not look at the original again.
template <std::size_t kSize>
[[nodiscard]] std::array<std::byte, kSize> load_once(std::span<const std::byte> bytes) noexcept {
  std::array<std::byte, kSize> copy;
  std::memcpy(copy.data(), bytes.data(), kSize);
  asm volatile("" : : "r"(copy.data()) : "memory");
  return copy;
}

}  // namespace portolan::wire
