// SPDX-License-Identifier: Apache-2.0

#include "port/gate.hpp"

#include "port/thread_sleeper.hpp"

namespace portolan::port {

bool Gate::enter(Stay& stay) noexcept {
  const std::lock_guard lock(mutex_);
  if (shut_) return false;
  stay.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &stay;
  first_ = &stay;
  return true;
}

void Gate::leave(Stay& stay) noexcept {
  const std::lock_guard lock(mutex_);
  (stay.previous_ != nullptr ? stay.previous_->next_ : first_) = stay.next_;
  if (stay.next_ != nullptr) stay.next_->previous_ = stay.previous_;
  if (first_ == nullptr && shut_) left_.notify_all();
}

void Gate::nudge_sleepers() noexcept {
  for (const Stay* stay = first_; stay != nullptr; stay = stay->next_)
    if (stay->sleeper_ != nullptr) stay->sleeper_->nudge();
}

void Gate::shut() {
  std::unique_lock lock(mutex_);
  shut_ = true;
  nudge_sleepers();
  left_.wait(lock, [&] { return first_ == nullptr; });
}

void Gate::reopen() {
  const std::lock_guard lock(mutex_);
  shut_ = false;
}

void Gate::nudge_all() {
  const std::lock_guard lock(mutex_);
  nudge_sleepers();
}

}  // namespace portolan::port
