// SPDX-License-Identifier: Apache-2.0

#include "os/deadline_timer.hpp"

#include <algorithm>
#include <sys/timerfd.h>

#include "os/refusal.hpp"

namespace portolan::os {

DeadlineTimer::DeadlineTimer() : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!timer_)
    throw_refusal(last_error(), "timerfd_create", "", "raise the limit of descriptors (ulimit -n)");
}

void DeadlineTimer::set(std::int64_t deadline_ns) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t at_ns = std::max(deadline_ns, std::int64_t{1});  // all zeros would disarm it
  itimerspec time{};
  time.it_value.tv_sec = at_ns / kSecond;
  time.it_value.tv_nsec = at_ns % kSecond;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &time, nullptr);
}

void DeadlineTimer::clear() noexcept {
  const itimerspec never{};
  ::timerfd_settime(timer_.get(), 0, &never, nullptr);
}

}  // namespace portolan::os
