// SPDX-License-Identifier: Apache-2.0

// What the messages of a measurement hold: their number at the beginning and at the end, and in between, if
// that is asked for, words that are checked by their sum. A paced one has the time of its post after its
// number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>

namespace bench {

inline constexpr std::uint64_t kLastNumber = ~std::uint64_t{0};

// memcpy, of which the compiler knows how much, as it does of its users' messages. One that finds out when it
// runs stores 64 bytes at once where the processor can, and of that not every part is read back before it is
// in the cache: 5 ns a message, of whoever's library, for the check at its end.
inline void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  switch (bytes) {
    case 8:
      std::memcpy(to, from, 8);
      break;
    case 64:
      std::memcpy(to, from, 64);
      break;
    case 256:
      std::memcpy(to, from, 256);
      break;
    default:
      std::memcpy(to, from, bytes);
  }
}

inline std::uint64_t number_of(std::span<const std::byte> payload) {
  std::uint64_t number = 0;
  std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

inline void stamp(std::span<std::byte> payload, std::uint64_t number) {
  std::memcpy(payload.data(), &number, sizeof number);
  std::memcpy(payload.data() + payload.size() - sizeof number, &number, sizeof number);
}

inline void stamp_time(std::span<std::byte> payload, std::int64_t time_ns) {
  std::memcpy(payload.data() + sizeof(std::uint64_t), &time_ns, sizeof time_ns);
}

inline std::int64_t time_of(std::span<const std::byte> payload) {
  std::int64_t time_ns = 0;
  std::memcpy(&time_ns, payload.data() + sizeof(std::uint64_t), sizeof time_ns);
  return time_ns;
}

// Word i is the number plus i.
inline void fill(std::span<std::byte> payload, std::uint64_t number) {
  std::byte* const begin = payload.data();
  const std::size_t words = payload.size() / sizeof number;
  for (std::size_t i = 0; i < words; ++i) {
    const std::uint64_t word = number + i;
    std::memcpy(begin + i * sizeof word, &word, sizeof word);
  }
}

inline void check_stamp(std::span<const std::byte> payload, std::uint64_t number) {
  if (number_of(payload) != number || number_of(payload.last(sizeof number)) != number)
    throw std::runtime_error("a message is missing or damaged");
}

inline void check_sum(std::span<const std::byte> payload, std::uint64_t number) {
  const std::byte* const begin = payload.data();
  const std::size_t words = payload.size() / sizeof number;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < words; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, begin + i * sizeof word, sizeof word);
    sum += word;
  }
  if (sum != number * words + words * (words - 1) / 2) throw std::runtime_error("a message is damaged");
}

}  // namespace bench
