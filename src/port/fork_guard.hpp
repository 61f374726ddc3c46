// SPDX-License-Identifier: Apache-2.0

// What fork must not do to endpoints: a child that kept copies of their descriptors would hide its parent's
// death, and two users of one end would corrupt it. So the child closes its copies, and its port objects
// become inert.
#pragma once

#include <mutex>

namespace portolan::port {

// An endpoint on the list of those that a fork must touch.
class ForkGuarded {
 public:
  ForkGuarded(const ForkGuarded&) = delete;
  ForkGuarded& operator=(const ForkGuarded&) = delete;

 protected:
  ForkGuarded();
  ~ForkGuarded();

  // In the child, with the lock held and one thread: closes descriptors without shutting anything down.
  virtual void become_inert() noexcept = 0;

 private:
  friend struct ForkHandlers;
  ForkGuarded* previous_ = nullptr;
  ForkGuarded* next_ = nullptr;
};

// Held from the receipt of descriptors until they belong to an endpoint, so that no fork comes in between.
[[nodiscard]] std::unique_lock<std::mutex> hold_off_forks();

}  // namespace portolan::port
