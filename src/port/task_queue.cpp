// SPDX-License-Identifier: Apache-2.0

#include "port/task_queue.hpp"

#include <utility>

namespace portolan::port {

void TaskQueue::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  tasks_.push_back(std::move(task));
  ring_if_asleep();
}

void TaskQueue::stop() noexcept {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  ring_if_asleep();
}

void TaskQueue::ring_if_asleep() noexcept {
  // [L1] relaxed; pairs with [L2]: the lock orders the queue, this only hints at it.
  attention_.store(true, std::memory_order_relaxed);
  if (bell_ != nullptr) std::exchange(bell_, nullptr)->signal();
}

void TaskQueue::take(std::deque<Task>& tasks) {
  if (!attention()) return;
  const std::lock_guard lock(mutex_);
  if (tasks.empty()) {
    tasks.swap(tasks_);
  } else {
    for (Task& task : tasks_) tasks.push_back(std::move(task));
    tasks_.clear();
  }
  // [L1] relaxed; pairs with [L2]: under the lock.
  attention_.store(stop_, std::memory_order_relaxed);
}

bool TaskQueue::take_stop() noexcept {
  if (!attention()) return false;
  const std::lock_guard lock(mutex_);
  // [L1] relaxed; pairs with [L2]: under the lock.
  attention_.store(!tasks_.empty(), std::memory_order_relaxed);
  return std::exchange(stop_, false);
}

bool TaskQueue::fall_asleep(os::EventCounter& bell) noexcept {
  const std::lock_guard lock(mutex_);
  if (stop_ || !tasks_.empty()) return false;
  bell_ = &bell;
  return true;
}

void TaskQueue::wake_up() noexcept {
  const std::lock_guard lock(mutex_);
  bell_ = nullptr;
}

void TaskQueue::end() noexcept {
  std::deque<Task> dropped;  // destroyed without the lock: a task's destructor may post
  const std::lock_guard lock(mutex_);
  ended_ = true;
  bell_ = nullptr;
  dropped.swap(tasks_);
}

bool TaskQueue::ended() const noexcept {
  const std::lock_guard lock(mutex_);
  return ended_;
}

}  // namespace portolan::port
