// SPDX-License-Identifier: Apache-2.0

// Counts the memory that is taken while an input is read, at its peak. The operators are kept out of line, or
// gcc sees malloc paired with delete.
#include <cstdlib>
#include <malloc.h>
#include <new>

#include "fuzz/target.hpp"

namespace {

std::size_t taken_bytes = 0;
std::size_t peak_bytes = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  void* const memory = std::malloc(bytes != 0 ? bytes : 1);
  taken_bytes += malloc_usable_size(memory);
  if (taken_bytes > peak_bytes) peak_bytes = taken_bytes;
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (void* const memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) taken_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace portolan::fuzz {

bool read_watched(std::span<const std::byte> input) {
  const std::size_t before_bytes = taken_bytes;
  peak_bytes = before_bytes;
  const bool was_read = read(input);
  if (peak_bytes - before_bytes > memory_limit_bytes(input.size())) {
    std::fprintf(stderr, "reading %zu bytes took %zu bytes of memory, and may take %zu\n", input.size(),
                 peak_bytes - before_bytes, memory_limit_bytes(input.size()));
    std::abort();
  }
  FUZZ_HOLDS(taken_bytes == before_bytes);
  return was_read;
}

}  // namespace portolan::fuzz
