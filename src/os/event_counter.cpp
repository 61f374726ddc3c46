// SPDX-License-Identifier: Apache-2.0

// The eventfd behind a nudge.
#include "os/event_counter.hpp"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/refusal.hpp"

namespace portolan::os {

EventCounter::EventCounter() : counter_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!counter_)
    throw_refusal(last_error(), "eventfd", {}, "close descriptors or raise RLIMIT_NOFILE (ulimit -n)");
}

void EventCounter::signal() noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  // EAGAIN after 2^64 - 2 signals without a drain: it is readable all the same.
  static_cast<void>(!::write(counter_.get(), &one, sizeof one));
  errno = saved;
}

bool EventCounter::drain() noexcept {
  std::uint64_t count = 0;
  return ::read(counter_.get(), &count, sizeof count) == sizeof count;
}

}  // namespace portolan::os
