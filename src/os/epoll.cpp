// SPDX-License-Identifier: Apache-2.0

// The epoll system calls.
#include "os/epoll.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <sys/epoll.h>
#include <time.h>

#include "os/pause.hpp"
#include "os/refusal.hpp"

namespace portolan::os {
namespace {

static_assert(kReadable == EPOLLIN && kWritable == EPOLLOUT && kFailed == EPOLLERR && kHungUp == EPOLLHUP);
static_assert(kPeerShutDown == EPOLLRDHUP && kEdgeTriggered == static_cast<std::uint32_t>(EPOLLET));

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kMostAtOnce = 64;  // what does not fit is reported by the next wait

std::atomic<bool> nanoseconds_refused{false};  // epoll_pwait2 needs Linux 5.11

int wait_once(int epoll, epoll_event* events, int count, std::int64_t timeout_ns) noexcept {
  // [K3] relaxed: it only saves a call that would be refused again.
  if (!nanoseconds_refused.load(std::memory_order_relaxed)) {
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(timeout_ns / kNsPerSecond);
    timeout.tv_nsec = static_cast<long>(timeout_ns % kNsPerSecond);
    const int ready = ::epoll_pwait2(epoll, events, count, timeout_ns < 0 ? nullptr : &timeout, nullptr);
    if (ready >= 0 || (errno != ENOSYS && errno != EPERM)) return ready;
    nanoseconds_refused.store(true, std::memory_order_relaxed);  // [K3]
  }
  // Rounded up: a caller who is early would only come again at once.
  const std::int64_t ms = timeout_ns < 0 ? -1 : timeout_ns / kNsPerMs + (timeout_ns % kNsPerMs != 0 ? 1 : 0);
  return ::epoll_wait(epoll, events, count, static_cast<int>(std::min<std::int64_t>(ms, INT_MAX)));
}

std::error_code control(int epoll, int operation, int descriptor, std::uint32_t events,
                        std::uint64_t tag) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return ::epoll_ctl(epoll, operation, descriptor, &event) == 0 ? std::error_code{} : last_error();
}

}  // namespace

Epoll::Epoll() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_)
    throw_refusal(last_error(), "epoll_create1", {}, "close descriptors or raise RLIMIT_NOFILE (ulimit -n)");
}

std::error_code Epoll::add(int descriptor, std::uint32_t events, std::uint64_t tag) noexcept {
  return control(epoll_.get(), EPOLL_CTL_ADD, descriptor, events, tag);
}

std::error_code Epoll::modify(int descriptor, std::uint32_t events, std::uint64_t tag) noexcept {
  return control(epoll_.get(), EPOLL_CTL_MOD, descriptor, events, tag);
}

void Epoll::remove(int descriptor) noexcept {
  static_cast<void>(control(epoll_.get(), EPOLL_CTL_DEL, descriptor, 0, 0));
}

std::size_t Epoll::wait(std::span<ReadyTag> ready, std::int64_t timeout_ns) noexcept {
  std::array<epoll_event, kMostAtOnce> events;
  const auto space = static_cast<int>(std::min(ready.size(), events.size()));
  const int count = wait_once(epoll_.get(), events.data(), space, timeout_ns);
  if (count <= 0) return 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    ready[i] = {events[i].data.u64, events[i].events};
  }
  return static_cast<std::size_t>(count);
}

}  // namespace portolan::os
