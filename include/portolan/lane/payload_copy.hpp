// SPDX-License-Identifier: Apache-2.0

// How a payload is copied in and out. Public only because posting and receiving are inlined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace portolan {
inline namespace v1 {
namespace lane {

/// From the end to the beginning: forward, each load would wait for the store that was made just before it to
/// the same place within a page.
[[gnu::noinline]] inline void copy_backwards(std::byte* to, const std::byte* from,
                                             std::size_t bytes) noexcept {
  using Vector [[gnu::vector_size(16)]] = std::int64_t;
  constexpr std::size_t kVectors = 4, kStepBytes = kVectors * sizeof(Vector);
  std::size_t left_bytes = bytes;
  while (left_bytes >= kStepBytes) {
    left_bytes -= kStepBytes;
    Vector vectors[kVectors];
    std::memcpy(vectors, from + left_bytes, kStepBytes);
    std::memcpy(to + left_bytes, vectors, kStepBytes);
  }
  std::memcpy(to, from, left_bytes);
}

/// memcpy, but for what glibc copies with `rep movsb`: AMD's Zen 3 and 4 do that at a twentieth of their rate
/// where the target stands up to 31 bytes further into its page than the source into its own, as a block's
/// first payload does beside what malloc has mapped (docs/decisions/copy-backwards.md).
inline void copy_payload(void* to, const void* from, std::size_t bytes) noexcept {
  constexpr std::size_t kLeastBytes = 2048, kMostBytes = std::size_t{1} << 20;  // glibc's, and a core's cache
  constexpr std::uintptr_t kPageMask = 4095, kCloseBytes = 31;
  if (bytes >= kLeastBytes && bytes < kMostBytes) [[unlikely]] {
    const std::uintptr_t ahead =
        reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
    if ((ahead & kPageMask) - 1 < kCloseBytes)
      return copy_backwards(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
  }
  std::memcpy(to, from, bytes);
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan
