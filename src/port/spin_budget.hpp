// SPDX-License-Identifier: Apache-2.0

// How long a waiter looks out before it sleeps. A sleep costs both sides about 30 us (barrier 13, stolen from
// the running peer 9, wake 8: measured), so looking out for less than that costs the writer; on a single CPU
// the peer could not run meanwhile.
#pragma once

#include <algorithm>
#include <cstdint>

namespace portolan::port {

class SpinBudget {
 public:
  SpinBudget() noexcept;

  std::int64_t nanoseconds() const noexcept { return now_ns_; }
  void paid_off() noexcept { now_ns_ = most_ns_; }
  // Messages that keep coming later than this are not worth looking out for.
  void failed() noexcept { now_ns_ = std::max(most_ns_ / 8, now_ns_ - now_ns_ / 8); }

 private:
  std::int64_t most_ns_;
  std::int64_t now_ns_;
};

}  // namespace portolan::port
