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

std::error_code ThreadSleeper::sleep_on_socket(int socket, std::uint32_t seen_nudges,
                                               std::int64_t timeout_ns) noexcept {
  try {
    if (!deep_) {
      deep_.emplace();
      if (const std::error_code error = deep_->epoll.add(deep_->bell.descriptor(), os::kReadable, kBellTag)) {
        deep_.reset();
        return error;
      }
    }
  } catch (const PortError& refused) {
    return refused.code();
  }
  // Edge-triggered: packets of transfers that must wait in the socket would make a level-triggered sleep
  // spin. The add itself reports what is there already, once.
  if (const std::error_code error =
          deep_->epoll.add(socket, os::kReadable | os::kPeerShutDown | os::kEdgeTriggered, kSocketTag))
    return error;
  // [N4] seq_cst; pairs with [N2], [N3]: announced before the last look at the count.
  listening_.store(&*deep_, std::memory_order_seq_cst);
  // [N5] seq_cst; pairs with [N2]: as [N4].
  if (nudges_.load(std::memory_order_seq_cst) == seen_nudges) {
    os::ReadyTag ready[2];
    static_cast<void>(deep_->epoll.wait(ready, timeout_ns));
  }
  // [N6] seq_cst; pairs with [N3]: nobody signals a bell that nobody hears.
  listening_.store(nullptr, std::memory_order_seq_cst);
  deep_->epoll.remove(socket);
  static_cast<void>(deep_->bell.drain());
  return {};
}

}  // namespace portolan::port
