// SPDX-License-Identifier: Apache-2.0

#include "port/fork_guard.hpp"

#include "os/fork_watch.hpp"

namespace portolan::port {

namespace {

struct Guarded {
  std::mutex list_mutex;
  std::mutex receive_mutex;
  ForkGuarded* first = nullptr;
};

// Never destroyed: endpoints in other static objects may outlive any order of destruction.
Guarded& guarded() {
  static Guarded& all = *new Guarded;
  return all;
}

}  // namespace

struct ForkHandlers {
  static void before() {
    guarded().receive_mutex.lock();
    guarded().list_mutex.lock();
  }
  static void in_parent() {
    guarded().list_mutex.unlock();
    guarded().receive_mutex.unlock();
  }
  static void in_child() {
    for (ForkGuarded* each = guarded().first; each != nullptr; each = each->next_) each->become_inert();
    in_parent();
  }
  ForkHandlers() { os::on_fork(before, in_parent, in_child); }
};

ForkGuarded::ForkGuarded() {
  static const ForkHandlers registered;
  const std::lock_guard lock(guarded().list_mutex);
  next_ = guarded().first;
  if (next_ != nullptr) next_->previous_ = this;
  guarded().first = this;
}

ForkGuarded::~ForkGuarded() {
  const std::lock_guard lock(guarded().list_mutex);
  (previous_ != nullptr ? previous_->next_ : guarded().first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

std::unique_lock<std::mutex> hold_off_forks() {
  return std::unique_lock(guarded().receive_mutex);
}

}  // namespace portolan::port
