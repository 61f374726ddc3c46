// SPDX-License-Identifier: Apache-2.0

// The words that both sides of a channel have in their memory. They are std::atomic, and every access to them
// is written with these names, so that the tests can build the same code over words of their own: words that
// a fuzzer answers for, and words that follow the language's memory model instead of this machine's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef PORTOLAN_SHARED_WORDS
#include PORTOLAN_SHARED_WORDS
#else

namespace portolan {
inline namespace v1 {
namespace lane {

template <class T>
using SharedWord = std::atomic<T>;
/// One that stands among bytes.
template <class T>
using SharedWordAt = std::atomic_ref<T>;

using std::atomic_signal_fence;
using std::atomic_thread_fence;

/// Out of shared memory, or into it. From here on the copy alone is looked at: a hostile peer may be changing
/// the original.
inline void copy_shared(void* to, const void* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, bytes);
  asm volatile("" : : "r"(to) : "memory");
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan

#endif
