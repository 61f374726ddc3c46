// SPDX-License-Identifier: Apache-2.0

// The wiped page. Where MADV_WIPEONFORK is missing (before Linux 4.14) an atfork handler zeroes the word
// instead, which a raw clone() escapes.
#include "os/fork_watch.hpp"

#include <cerrno>
#include <new>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/memory_file.hpp"
#include "os/process.hpp"
#include "os/refusal.hpp"

namespace portolan::os {
namespace {

constinit std::atomic<std::uint32_t> plain_word{1};
constinit std::atomic<std::uint32_t> newest{1};  // inherited by children, so that theirs is another one

// Of a process and not of its children, behind the word; null where no page is wiped, for then a raw clone()
// would inherit it.
constinit std::atomic<std::uint32_t>* kept_process_id = nullptr;

void wipe_plain_word() noexcept {
  plain_word.store(0, std::memory_order_relaxed);  // [K4]
}

[[gnu::constructor]] void watch_when_loaded() noexcept {
  const int saved = errno;
  void* const page =
      ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED && ::madvise(page, page_bytes(), MADV_WIPEONFORK) == 0) {
    const std::uint32_t generation = newest.load(std::memory_order_relaxed);  // [K5]
    auto* const word = new (page) std::atomic<std::uint32_t>(generation);
    kept_process_id = new (word + 1) std::atomic<std::uint32_t>(0);
    fork_watch::word = word;
  } else {
    ::pthread_atfork(nullptr, nullptr, wipe_plain_word);
  }
  errno = saved;
}

}  // namespace

namespace fork_watch {

constinit std::atomic<std::uint32_t>* word = &plain_word;

std::uint32_t renew() noexcept {
  // [K5] relaxed: one thread counts up before the word has the number, so a fork by another one at any moment
  // hands down at least as much as the word holds.
  const std::uint32_t generation = newest.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint32_t found = 0;
  // [K4] relaxed: several threads of a young child may get here, and the first one's number stands.
  const bool first = word->compare_exchange_strong(found, generation, std::memory_order_relaxed);
  return first ? generation : found;
}

}  // namespace fork_watch

std::uint32_t process_id() noexcept {
  if (kept_process_id == nullptr) return static_cast<std::uint32_t>(::getpid());
  // [K23] relaxed: whichever thread asks, the number is the same; fork itself wipes it.
  std::uint32_t kept = kept_process_id->load(std::memory_order_relaxed);
  if (kept == 0) {
    kept = static_cast<std::uint32_t>(::getpid());
    kept_process_id->store(kept, std::memory_order_relaxed);  // [K23]
  }
  return kept;
}

void on_fork(void (*prepare)(), void (*parent)(), void (*child)()) {
  if (const int error = ::pthread_atfork(prepare, parent, child); error != 0) {
    throw_refusal({error, std::generic_category()}, "pthread_atfork", {}, "free memory");
  }
}

}  // namespace portolan::os
