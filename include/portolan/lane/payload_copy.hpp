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

/// Whether this is AMD's Zen 3 or 4.
inline bool has_slow_rep_movsb() noexcept {
#ifdef __x86_64__
  return __builtin_cpu_is("amdfam19h") != 0;
#else
  return false;
#endif
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
    if ((ahead & kPageMask) - 1 < kCloseBytes && has_slow_rep_movsb())
      return copy_backwards(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
  }
  std::memcpy(to, from, bytes);
}

/// What has between one and two parts of that size: its first and its last.
template <std::size_t kPartBytes>
inline void copy_ends(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, kPartBytes);
  std::memcpy(to + bytes - kPartBytes, from + bytes - kPartBytes, kPartBytes);
}

/// Up to 64.
inline void copy_few(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  // Else the compiler follows each branch with what it knows of the object, and warns of what never happens.
  asm("" : "+r"(to), "+r"(from));
  if (bytes >= 32) return copy_ends<32>(to, from, bytes);
  if (bytes >= 16) return copy_ends<16>(to, from, bytes);
  if (bytes >= 8) return copy_ends<8>(to, from, bytes);
  if (bytes >= 4) return copy_ends<4>(to, from, bytes);
  for (std::size_t at = 0; at < bytes; ++at) to[at] = from[at];
}

/// What is posted. Of a few bytes of which the compiler does not know how many, without a call: a post has
/// few instructions besides.
[[gnu::always_inline]] inline void copy_message(std::byte* to, const std::byte* from,
                                                std::size_t bytes) noexcept {
  if (!__builtin_constant_p(bytes) && bytes <= 64)
    copy_few(to, from, bytes);
  else
    copy_payload(to, from, bytes);
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan
