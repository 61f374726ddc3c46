// SPDX-License-Identifier: Apache-2.0

// How a loop waits: it looks on for a while, announces its sleep, looks again, and then leaves it to the
// kernel.
#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <string>
#include <thread>

#include "os/membarrier.hpp"
#include "os/pause.hpp"
#include "os/refusal.hpp"
#include "port/loop_core.hpp"

namespace portolan::port {

namespace {

constexpr std::int64_t kLongestSpinNs =
    50'000;  // about what a sleep costs both sides: 25 us, and 22 us of barrier
constexpr std::int64_t kFirstSpinNs = 20'000;
constexpr std::int64_t kShortestSpinNs = 2'000;  // below it, not at all
constexpr std::int64_t kBetweenLooksNs = 5'000;  // at descriptors, while spinning
constexpr int kPausesPerLook = 4;

// A wake may get lost where a peer misbehaves or a queue is full: sleepers are looked at once a second, some
// of them at a time if they are many, since each look misses the cache; and all of them every 10 ms where
// there is no barrier, so that a peer may not know yet that it has to fence.
constexpr std::int64_t kLongestSleepNs = 1'000'000'000;
constexpr std::size_t kSleepersPerLook = 512;
constexpr std::int64_t kLongestSleepWithoutBarrierNs = 10'000'000;

bool alone_on_one_cpu() {
  static const bool alone = std::thread::hardware_concurrency() == 1;
  return alone;
}

}  // namespace

LoopCore::LoopCore() : spin_ns_(alone_on_one_cpu() ? 0 : kFirstSpinNs) {}
LoopCore::~LoopCore() = default;

LoopCore::Sleeper::Sleeper() {
  if (const auto error = epoll.add(bell.descriptor(), os::kReadable, kBellTag)) {
    os::throw_refusal(error, "epoll_ctl", "", "raise fs.epoll.max_user_watches");
  }
}

LoopCore::Sleeper& LoopCore::sleeper() {
  if (!sleeper_) sleeper_.emplace();
  return *sleeper_;
}

void LoopCore::watch(int descriptor, std::uint32_t events, std::uint64_t tag, const char* call) {
  if (const auto error = sleeper().epoll.add(descriptor, events, tag)) {
    os::throw_refusal(error, call, "",
                      "raise fs.epoll.max_user_watches, or watch a descriptor that can be polled");
  }
}

void LoopCore::idle(std::int64_t deadline_ns) {
  const std::int64_t began_ns = os::monotonic_ns();
  const std::int64_t until_ns = std::min(deadline_ns, timers_.next_deadline_ns().value_or(kForever));
  if (spin(began_ns, until_ns)) return;
  sleep(began_ns, until_ns);
}

// True if there is something to do. Only for sources that were busy a moment ago: the others ring.
bool LoopCore::spin(std::int64_t began_ns, std::int64_t deadline_ns) {
  if (spin_ns_ == 0 || sources_.awake().empty()) return false;
  const std::int64_t until_ns =
      spin_ns_ < kForever - began_ns ? std::min(began_ns + spin_ns_, deadline_ns) : deadline_ns;
  std::int64_t next_gather_ns = began_ns + kBetweenLooksNs;
  for (std::int64_t now_ns = began_ns; now_ns < until_ns; now_ns = os::monotonic_ns()) {
    bool found = sources_.any_ready() || tasks_.attention();
    if (!found && sleeper_ && now_ns >= next_gather_ns) {
      found = gather(0);
      next_gather_ns = now_ns + kBetweenLooksNs;
    }
    if (found) {
      adapt_spin(true);
      return true;
    }
    for (int i = 0; i < kPausesPerLook; ++i) os::cpu_pause();
  }
  return false;
}

void LoopCore::sleep(std::int64_t began_ns, std::int64_t deadline_ns) {
  Sleeper& sleeper = this->sleeper();
  const bool after_work = !sources_.awake().empty();
  if (!taken_.empty() || !tasks_.fall_asleep(sleeper.bell)) return;
  bool found = !arm();
  if (found) {
    // Others may ring while one is flooded, and there is no spin that looks.
    if (spin_ns_ == 0) static_cast<void>(gather(0));
  } else {
    const std::int64_t until_ns = sources_.size() == 0 ? deadline_ns : std::min(deadline_ns, next_look_ns_);
    const std::int64_t timeout_ns = std::max<std::int64_t>(until_ns - os::monotonic_ns(), 0);
    found = gather(until_ns == kForever ? -1 : timeout_ns);
  }
  tasks_.wake_up();
  // Twice: what came while this thread was still falling asleep would have been seen by spinning.
  if (after_work) adapt_spin(found && os::monotonic_ns() - began_ns < 2 * kLongestSpinNs);
}

void LoopCore::set_busy_poll(std::int64_t longest_ns) {
  check_thread("set_busy_poll");
  spin_ns_ = longest_ns;
  spin_is_set_ = true;
}

void LoopCore::adapt_spin(bool worth_it) noexcept {
  if (spin_is_set_ || alone_on_one_cpu()) return;
  if (worth_it) {
    spin_ns_ = std::clamp(2 * spin_ns_, kFirstSpinNs, kLongestSpinNs);
  } else {
    spin_ns_ = spin_ns_ / 2 < kShortestSpinNs ? 0 : spin_ns_ / 2;
  }
}

// Announces every sleep, then looks again: whoever publishes from now on sees the announcement, or is seen
// here. True if all are asleep.
bool LoopCore::arm() noexcept {
  sources_.announce_sleep();
  if (sources_.announced()) {
    sleeps_bounded_ = !os::membarrier();
    // [L3] seq_cst fence; pairs with [S5], [S11], [C4]: where the barrier is refused, peers fence between
    // publishing and looking at the sleep word, and this thread between storing it and looking for what they
    // published.
    if (sleeps_bounded_) std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  return sources_.settle();
}

// Wakes what the kernel has news of. True if there was any.
bool LoopCore::gather(std::int64_t timeout_ns) {
  std::array<os::ReadyTag, 64> ready;
  const std::size_t count = sleeper_->epoll.wait(ready, timeout_ns);
  for (const os::ReadyTag& news : std::span(ready).first(count)) {
    if (news.tag >= kSourceTags) {
      sources_.wake(SourceId{news.tag});
    } else if (news.tag >= kSignalTags) {
      take_signal(static_cast<int>(news.tag - kSignalTags));
    } else if (news.tag == kTimerTag) {
      sleeper_->timer->clear();
    } else {
      sleeper_->bell.drain();
    }
  }
  if (sources_.size() != 0) {
    const std::int64_t now_ns = os::monotonic_ns();
    if (now_ns >= next_look_ns_) {
      sources_.look_at_sleepers(sleeps_bounded_ ? sources_.slots() : kSleepersPerLook);
      next_look_ns_ = now_ns + (sleeps_bounded_ ? kLongestSleepWithoutBarrierNs : kLongestSleepNs);
    }
  }
  return count != 0;
}

int LoopCore::native_handle() {
  check_thread("native_handle");
  Sleeper& sleeper = this->sleeper();
  if (!foreign_) {
    sleeper.timer.emplace();
    watch(sleeper.timer->descriptor(), os::kReadable, kTimerTag, "native_handle");
    foreign_ = true;
    if (!running_) arm_for_foreign_loop();
  }
  return sleeper.epoll.descriptor();
}

// The bell stays set while there is something to do; else every wake reaches the set through a descriptor.
void LoopCore::arm_for_foreign_loop() noexcept {
  if (!taken_.empty() || !arm() || !tasks_.fall_asleep(sleeper_->bell)) sleeper_->bell.signal();
  if (const auto deadline_ns = timers_.next_deadline_ns()) {
    sleeper_->timer->set(*deadline_ns);
  } else {
    sleeper_->timer->clear();
  }
}

// Something changed outside of poll(), which then has to come and arm again.
void LoopCore::disturb_foreign_loop() noexcept {
  if (foreign_ && !running_) sleeper_->bell.signal();
}

}  // namespace portolan::port
