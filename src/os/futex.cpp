// SPDX-License-Identifier: Apache-2.0

// The futex system calls. glibc wraps none of them.
#include "os/futex.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/pause.hpp"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449  // the same number on every architecture, Linux 5.16
#endif

namespace portolan::os {
namespace {

// The kernel's struct futex_waitv and its FUTEX_32, which headers before 5.16 lack.
struct WaitEntry {
  std::uint64_t expected;
  std::uint64_t address;
  std::uint32_t flags;
  std::uint32_t reserved;
};
static_assert(sizeof(WaitEntry) == 24);
constexpr std::uint32_t kFutex32 = 2;

std::atomic<bool> wait_either_refused{false};

timespec to_timespec(std::int64_t ns) noexcept {
  timespec time{};
  time.tv_sec = static_cast<time_t>(ns / kNsPerSecond);
  time.tv_nsec = static_cast<long>(ns % kNsPerSecond);
  return time;
}

Woken outcome(long result) noexcept {
  if (result >= 0) return Woken::woken;
  if (errno == ETIMEDOUT) return Woken::timed_out;
  return errno == EAGAIN ? Woken::changed : Woken::woken;
}

Woken wait(const void* word, int operation, std::uint32_t expected, std::int64_t timeout_ns) noexcept {
  const timespec timeout = to_timespec(std::max<std::int64_t>(timeout_ns, 0));
  return outcome(::syscall(SYS_futex, word, operation, expected, &timeout, nullptr, 0));
}

void wake(const void* word, int operation, int count) noexcept {
  const int saved = errno;
  ::syscall(SYS_futex, word, operation, count, nullptr, nullptr, 0);
  errno = saved;
}

WaitEntry entry(const void* word, std::uint32_t expected, std::uint32_t flags) noexcept {
  return {expected, reinterpret_cast<std::uintptr_t>(word), flags, 0};
}

// The private word is only looked at, before each round. Whoever takes a round's end for a wake never sleeps
// as long as it meant to.
Woken wait_blindly(const void* shared_word, std::uint32_t shared_expected, const void* private_word,
                   std::uint32_t private_expected, std::int64_t timeout_ns) noexcept {
  const auto& word = *static_cast<const std::atomic<std::uint32_t>*>(private_word);
  const std::int64_t end_ns = monotonic_ns() + timeout_ns;
  for (std::int64_t left_ns = timeout_ns;; left_ns = end_ns - monotonic_ns()) {
    // [K2] relaxed, as the kernel's own look would be: what follows a change is the caller's to order.
    if (word.load(std::memory_order_relaxed) != private_expected) return Woken::changed;
    const Woken woken = futex_wait(shared_word, shared_expected, std::min(left_ns, kBlindNanoseconds));
    if (woken != Woken::timed_out || left_ns <= kBlindNanoseconds) return woken;
  }
}

}  // namespace

Woken futex_wait(const void* word, std::uint32_t expected, std::int64_t timeout_ns) noexcept {
  return wait(word, FUTEX_WAIT, expected, timeout_ns);
}

void futex_wake(const void* word, int count) noexcept {
  wake(word, FUTEX_WAKE, count);
}

Woken futex_wait_private(const void* word, std::uint32_t expected, std::int64_t timeout_ns) noexcept {
  return wait(word, FUTEX_WAIT_PRIVATE, expected, timeout_ns);
}

void futex_wake_private(const void* word, int count) noexcept {
  wake(word, FUTEX_WAKE_PRIVATE, count);
}

Woken futex_wait_either(const void* shared_word, std::uint32_t shared_expected, const void* private_word,
                        std::uint32_t private_expected, std::int64_t timeout_ns) noexcept {
  // [K1] relaxed: it only saves a call that would be refused again.
  if (!wait_either_refused.load(std::memory_order_relaxed)) {
    const WaitEntry entries[] = {
        entry(shared_word, shared_expected, kFutex32),
        entry(private_word, private_expected, kFutex32 | FUTEX_PRIVATE_FLAG),
    };
    const timespec deadline = to_timespec(monotonic_ns() + std::max<std::int64_t>(timeout_ns, 0));
    const long result = ::syscall(SYS_futex_waitv, entries, 2, 0, &deadline, CLOCK_MONOTONIC);
    // EPERM: filters refuse with it what they do not know.
    if (result >= 0 || (errno != ENOSYS && errno != EPERM)) return outcome(result);
    wait_either_refused.store(true, std::memory_order_relaxed);  // [K1]
  }
  return wait_blindly(shared_word, shared_expected, private_word, private_expected, timeout_ns);
}

bool futex_wait_either_is_blind() noexcept {
  return wait_either_refused.load(std::memory_order_relaxed);  // [K1]
}

}  // namespace portolan::os
