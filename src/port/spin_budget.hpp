// SPDX-License-Identifier: Apache-2.0

// How long a waiter looks out before it sleeps. A sleep costs both sides about 30 us (barrier 13, stolen from
// the running peer 9, wake 8: measured), so looking out for less than that costs the writer. On a single CPU
// the peer could not run meanwhile; a process that may use one of several does not know whether its peer is
// on the same, and tries.
#pragma once

#include <cstdint>

namespace portolan::port {

class SpinBudget {
 public:
  SpinBudget() noexcept;

  std::int64_t nanoseconds() noexcept {
    if (now_ns_ != 0) [[likely]]
      return now_ns_;
    return ++skipped_ % kSkipsPerTry == 0 ? most_ns_ / 8 : 0;
  }
  // Something came after so long. What comes at once says nothing of whether looking out for long pays: at
  // the end of each burst it may not.
  void paid_off(std::int64_t after_ns) noexcept {
    if (now_ns_ == 0)
      now_ns_ = most_ns_ / 8;
    else if (after_ns > now_ns_ / 2)
      now_ns_ = most_ns_;
  }
  // Messages that keep coming later than this are not worth looking out for.
  void failed() noexcept {
    const std::int64_t less_ns = now_ns_ - now_ns_ / 8;
    now_ns_ = less_ns > most_ns_ / 8 ? less_ns : least_ns_;
  }
  // Woken after so long: soon enough, and looking out would have paid. On one CPU alone the peer ran only
  // because this thread slept.
  void slept(std::int64_t for_ns) noexcept {
    if (least_ns_ != 0 && for_ns < most_ns_) now_ns_ = most_ns_;
  }

 private:
  static constexpr std::uint32_t kSkipsPerTry = 64;

  std::int64_t most_ns_;
  std::int64_t least_ns_;
  std::int64_t now_ns_;
  std::uint32_t skipped_ = 0;
};

}  // namespace portolan::port
