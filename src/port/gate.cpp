// SPDX-License-Identifier: Apache-2.0

#include "port/gate.hpp"

#include <algorithm>

#include "port/thread_sleeper.hpp"

namespace portolan::port {

bool Gate::enter(ThreadSleeper* sleeper) {
  const std::lock_guard lock(mutex_);
  if (shut_) return false;
  if (sleeper != nullptr) sleepers_.push_back(sleeper);
  ++inside_;
  return true;
}

void Gate::leave(ThreadSleeper* sleeper) noexcept {
  const std::lock_guard lock(mutex_);
  if (sleeper != nullptr) sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), sleeper));
  if (--inside_ == 0 && shut_) left_.notify_all();
}

void Gate::shut() {
  std::unique_lock lock(mutex_);
  shut_ = true;
  for (ThreadSleeper* const sleeper : sleepers_) sleeper->nudge();
  left_.wait(lock, [&] { return inside_ == 0; });
}

void Gate::reopen() {
  const std::lock_guard lock(mutex_);
  shut_ = false;
}

void Gate::nudge_all() {
  const std::lock_guard lock(mutex_);
  for (ThreadSleeper* const sleeper : sleepers_) sleeper->nudge();
}

}  // namespace portolan::port
