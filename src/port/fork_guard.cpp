// SPDX-License-Identifier: Apache-2.0

#include "port/fork_guard.hpp"

#include <mutex>

#include "os/fork_watch.hpp"

namespace portolan::port {

struct ForkGuard {
  std::mutex mutex;  // held over every fork
  ForkGuarded* first = nullptr;

  ForkGuard() { os::on_fork(before, in_parent, in_child); }

  // Never destroyed: endpoints in other static objects may outlive any order of destruction.
  static ForkGuard& only() {
    static ForkGuard& guard = *new ForkGuard;
    return guard;
  }

  static void before() { only().mutex.lock(); }
  static void in_parent() { only().mutex.unlock(); }
  static void in_child() {
    for (ForkGuarded* each = only().first; each != nullptr; each = each->next_) each->become_inert();
    only().mutex.unlock();
  }
};

namespace {

thread_local unsigned held_here = 0;  // NoForks of this thread

}  // namespace

NoForks::NoForks() {
  if (held_here == 0) ForkGuard::only().mutex.lock();
  ++held_here;
}

NoForks::~NoForks() {
  if (--held_here == 0) ForkGuard::only().mutex.unlock();
}

void ForkGuarded::enrol() {
  const NoForks no_forks;
  next_ = ForkGuard::only().first;
  if (next_ != nullptr) next_->previous_ = this;
  ForkGuard::only().first = this;
}

void ForkGuarded::for_each(void (*see)(ForkGuarded& each, void* context), void* context) {
  const NoForks no_forks;
  for (ForkGuarded* each = ForkGuard::only().first; each != nullptr; each = each->next_) see(*each, context);
}

void ForkGuarded::withdraw() noexcept {
  const NoForks no_forks;
  (previous_ != nullptr ? previous_->next_ : ForkGuard::only().first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

}  // namespace portolan::port
