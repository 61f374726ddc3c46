// SPDX-License-Identifier: Apache-2.0

// Shared words that ask a test about every access: <portolan/lane/shared_word.hpp> includes this in place of
// its own where PORTOLAN_SHARED_WORDS names it. They lie in memory as the real ones do. Each program links
// one definition of the functions: a fuzzer's, or a memory model's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace portolan::testing::words {

// Where in the sources an access stands; that says its [id].
struct Site {
  const char* file;
  int line;
};

std::uint64_t load(const void* place, std::size_t bytes, std::memory_order order, Site site) noexcept;
void store(void* place, std::size_t bytes, std::uint64_t value, std::memory_order order, Site site) noexcept;
void fence(std::memory_order order, Site site) noexcept;
void copy(void* to, const void* from, std::size_t bytes, Site site) noexcept;

}  // namespace portolan::testing::words

namespace portolan {
inline namespace v1 {
namespace lane {

namespace words = portolan::testing::words;

template <class T>
class SharedWordAt {
 public:
  static constexpr bool is_always_lock_free = true;

  explicit SharedWordAt(T& place) noexcept : place_(&place) {}

  T load(std::memory_order order, const char* file = __builtin_FILE(),
         int line = __builtin_LINE()) const noexcept {
    return static_cast<T>(words::load(place_, sizeof(T), order, {file, line}));
  }
  void store(T value, std::memory_order order, const char* file = __builtin_FILE(),
             int line = __builtin_LINE()) const noexcept {
    words::store(const_cast<std::remove_const_t<T>*>(place_), sizeof(T), value, order, {file, line});
  }

 private:
  T* place_;
};

template <class T>
class SharedWord {
 public:
  static constexpr bool is_always_lock_free = true;

  T load(std::memory_order order, const char* file = __builtin_FILE(),
         int line = __builtin_LINE()) const noexcept {
    return static_cast<T>(words::load(&value_, sizeof(T), order, {file, line}));
  }
  void store(T value, std::memory_order order, const char* file = __builtin_FILE(),
             int line = __builtin_LINE()) noexcept {
    words::store(&value_, sizeof(T), value, order, {file, line});
  }

 private:
  T value_;
};

inline void atomic_thread_fence(std::memory_order order, const char* file = __builtin_FILE(),
                                int line = __builtin_LINE()) noexcept {
  words::fence(order, {file, line});
}
inline void atomic_signal_fence(std::memory_order) noexcept {}

inline void copy_shared(void* to, const void* from, std::size_t bytes, const char* file = __builtin_FILE(),
                        int line = __builtin_LINE()) noexcept {
  words::copy(to, from, bytes, {file, line});
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan
