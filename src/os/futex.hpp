// SPDX-License-Identifier: Apache-2.0

// Sleeping on a 32-bit word of shared memory, and waking whoever sleeps there. A word is named by its address
// alone, because the word may be half of a 64-bit header. Every wait is bounded: a peer who shares the word
// can spoil any wake-up, but not a timeout. Every return but timed_out may be spurious and means: look again.
#pragma once

#include <cstdint>

namespace portolan::os {

enum class Woken : std::uint8_t {
  woken,    // by a wake, a signal or for no reason
  changed,  // the word was not the expected one, so there was no sleep
  timed_out,
};

/// Sleeps while the word is `expected`, across processes, for at most `timeout_ns` (0 or less: only looks).
Woken futex_wait(const void* word, std::uint32_t expected, std::int64_t timeout_ns) noexcept;

/// Wakes up to `count` sleepers in any process. Results are not told, since a hostile peer can forge them.
void futex_wake(const void* word, int count) noexcept;

/// The same for words that only this process's threads use.
Woken futex_wait_private(const void* word, std::uint32_t expected, std::int64_t timeout_ns) noexcept;
void futex_wake_private(const void* word, int count) noexcept;

/// Sleeps while the shared word and this process's private word both have their expected values. On a kernel
/// without futex_waitv (before 5.16, or refused by a filter) it sleeps on the shared word alone, in rounds of
/// at most kBlindNanoseconds, and looks at the private word in between: a change of it may be noticed that
/// much later.
Woken futex_wait_either(const void* shared_word, std::uint32_t shared_expected, const void* private_word,
                        std::uint32_t private_expected, std::int64_t timeout_ns) noexcept;

inline constexpr std::int64_t kBlindNanoseconds =
    2'000'000;  // short for a human who closes, long against a wait's cost

/// Whether the last futex_wait_either found the call refused, so that it sleeps in rounds.
[[nodiscard]] bool futex_wait_either_is_blind() noexcept;

}  // namespace portolan::os
