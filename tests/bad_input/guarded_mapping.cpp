// SPDX-License-Identifier: Apache-2.0

// In place of the C library's, for the program that links this: a shared mapping stands between two pages
// that nobody may touch, so that a step outside is a crash and not somebody else's memory.
#include <cerrno>
#include <cstddef>
#include <mutex>
#include <set>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr std::size_t kPage = 4096;

void* map(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}

struct Guarded {
  std::mutex mutex;
  std::set<void*> begins;
};
Guarded& guarded() {
  static Guarded& all = *new Guarded;
  return all;
}

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

extern "C" void* mmap(void* address, std::size_t bytes, int protection, int flags, int file,
                      off_t offset) noexcept {
  if (address != nullptr || file < 0 || (flags & MAP_SHARED) == 0)
    return map(address, bytes, protection, flags, file, offset);
  void* const around = map(nullptr, whole_pages(bytes) + 2 * kPage, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (around == MAP_FAILED) return MAP_FAILED;
  std::byte* const place = static_cast<std::byte*>(around) + kPage;
  void* const mapped = map(place, bytes, protection, flags | MAP_FIXED, file, offset);
  if (mapped == MAP_FAILED) {
    const int error = errno;
    ::syscall(SYS_munmap, around, whole_pages(bytes) + 2 * kPage);
    errno = error;
    return MAP_FAILED;
  }
  const std::lock_guard lock(guarded().mutex);
  guarded().begins.insert(mapped);
  return mapped;
}

extern "C" int munmap(void* address, std::size_t bytes) noexcept {
  bool has_guards = false;
  {
    const std::lock_guard lock(guarded().mutex);
    has_guards = guarded().begins.erase(address) != 0;
  }
  if (!has_guards) return static_cast<int>(::syscall(SYS_munmap, address, bytes));
  return static_cast<int>(
      ::syscall(SYS_munmap, static_cast<std::byte*>(address) - kPage, whole_pages(bytes) + 2 * kPage));
}
