// SPDX-License-Identifier: Apache-2.0

#include "port/thread_sleeper.hpp"

#include <portolan/error.hpp>

#include "os/fork_watch.hpp"
#include "os/futex.hpp"

namespace portolan::port {

namespace {
constexpr std::uint64_t kSocketTag = 1, kBellTag = 2;
}

ThreadSleeper& ThreadSleeper::current() {
  thread_local ThreadSleeper sleeper;
  if (os::forked_since(sleeper.fork_generation_)) {
    sleeper.fork_generation_ = os::fork_generation();
    sleeper.deep_.reset();
  }
  return sleeper;
}

std::uint32_t ThreadSleeper::nudges() const noexcept {
  // [N1] acquire; pairs with [N2]: what the nudge is about is visible to whoever sees it.
  return nudges_.load(std::memory_order_acquire);
}

void ThreadSleeper::nudge() noexcept {
  // [N2] seq_cst; pairs with [N1], [N4]: counted before the look at who sleeps deeply.
  nudges_.fetch_add(1, std::memory_order_seq_cst);
  os::futex_wake_private(&nudges_, 1);
  // [N3] seq_cst; pairs with [N4]: either this sees the sleeper, or the sleeper sees the count.
  if (Deep* const deep = listening_.load(std::memory_order_seq_cst)) deep->bell.signal();
}

std::error_code ThreadSleeper::make_deep() noexcept {
  if (deep_) return {};
  try {
    deep_.emplace();
  } catch (const PortError& refused) {
    return refused.code();
  }
  const std::error_code error = deep_->epoll.add(deep_->bell.descriptor(), os::kReadable, kBellTag);
  if (error) deep_.reset();
  return error;
}

ThreadSleeper::Watch::~Watch() {
  for (const int socket : watched_) sleeper_.deep_->epoll.remove(socket);
}

std::error_code ThreadSleeper::Watch::watch(std::span<const int> sockets) noexcept {
  while (watched_.size() < sockets.size()) {
    // Edge-triggered, for the same packets: a level would make the sleep spin.
    if (const std::error_code error = sleeper_.deep_->epoll.add(
            sockets[watched_.size()], os::kReadable | os::kPeerShutDown | os::kEdgeTriggered, kSocketTag))
      return error;
    watched_ = sockets.first(watched_.size() + 1);
  }
  return {};
}

std::error_code ThreadSleeper::Watch::sleep(std::span<const int> sockets, std::uint32_t seen_nudges,
                                            std::int64_t timeout_ns) noexcept {
  if (const std::error_code error = sleeper_.make_deep()) return error;
  Deep& deep = *sleeper_.deep_;
  if (const std::error_code error = watch(sockets)) return error;
  // [N4] seq_cst; pairs with [N2], [N3]: announced before the last look at the count.
  sleeper_.listening_.store(&deep, std::memory_order_seq_cst);
  // [N5] seq_cst; pairs with [N2]: as [N4].
  if (sleeper_.nudges_.load(std::memory_order_seq_cst) == seen_nudges) {
    os::ReadyTag ready[2];
    static_cast<void>(deep.epoll.wait(ready, timeout_ns));
  }
  // [N6] seq_cst; pairs with [N3]: nobody signals a bell that nobody hears.
  sleeper_.listening_.store(nullptr, std::memory_order_seq_cst);
  static_cast<void>(deep.bell.drain());
  return {};
}

}  // namespace portolan::port
