// SPDX-License-Identifier: Apache-2.0

// What fork must not do to endpoints: a child that kept copies of their descriptors would hide its parent's
// death, and two users of one end would corrupt it. So the child closes its copies, and its port objects
// become inert.
#pragma once

namespace portolan::port {

// What is on the list of those that a fork must touch, from enrol() to withdraw(): the last act of the most
// derived constructor and of its destructor, for the fork may come on another thread at any time.
class ForkGuarded {
 public:
  ForkGuarded(const ForkGuarded&) = delete;
  ForkGuarded& operator=(const ForkGuarded&) = delete;

 protected:
  ForkGuarded() noexcept = default;
  ~ForkGuarded() = default;
  void enrol();
  void withdraw() noexcept;
  // Shows each that is on the list, with the lock held: it may be under construction or destruction.
  static void for_each(void (*see)(ForkGuarded& each, void* context), void* context);

  // In the child, with the lock held and one thread: closes descriptors without shutting anything down.
  virtual void become_inert() noexcept = 0;

 private:
  friend struct ForkGuard;
  ForkGuarded* previous_ = nullptr;
  ForkGuarded* next_ = nullptr;
};

// Held while descriptors belong to nobody on the list: from their receipt until they are a port's or an
// endpoint's, and from its end until they are closed.
// A thread may hold several at a time; it must not fork meanwhile.
class [[nodiscard]] NoForks {
 public:
  NoForks();
  NoForks(const NoForks&) = delete;
  NoForks& operator=(const NoForks&) = delete;
  ~NoForks();
};

}  // namespace portolan::port
