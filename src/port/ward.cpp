// SPDX-License-Identifier: Apache-2.0

#include "port/ward.hpp"

#include <exception>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>

#include "port/fork_guard.hpp"
#include "port/reporting.hpp"

namespace portolan::port {

namespace {

// Linked through the wards, and guarded by NoForks: a forked child must find it whole. Never
// destroyed.
std::shared_ptr<Ward>& first_released() {
  static auto& first = *new std::shared_ptr<Ward>;
  return first;
}

ExitStatus status_of(os::ProcessEnd end) noexcept {
  switch (end.kind) {
    case os::ProcessEnd::Kind::exited:
      return {.exited = true, .code = end.value};
    case os::ProcessEnd::Kind::killed:
      return {.signal = end.value};
    case os::ProcessEnd::Kind::unknown:
      break;
  }
  return {};
}

}  // namespace

std::optional<ExitStatus> Ward::wait(std::int64_t timeout_ns) noexcept {
  if (!os::ended_within(process_.pidfd.get(), timeout_ns)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (!status_) {
    const auto end = os::wait_for_end(process_.pidfd.get(), 0);
    status_ = status_of(end ? *end : os::ProcessEnd{});
  }
  return status_;
}

void Ward::watch() {
  const std::lock_guard lock(mutex_);
  if (!attachment_) {
    attachment_ = LoopAttachment(EventLoop::current(), *this);
    loop_thread_ = std::this_thread::get_id();
  } else if (loop_thread_ != std::this_thread::get_id()) {
    throw InvalidStateError(
        "Worker::on_exit(): the worker belongs to the loop of the thread that started it; call it there");
  }
}

void Ward::set_exit_handler(ExitHandler handler) noexcept {
  const std::lock_guard lock(mutex_);
  std::swap(exit_handler_, handler);
}

void Ward::set_ref(bool ref) noexcept {
  const std::lock_guard lock(mutex_);
  ref_ = ref;
}

bool Ward::keeps_loop_alive() const noexcept {
  const std::lock_guard lock(mutex_);
  return ref_;
}

void Ward::unwatch() noexcept {
  set_exit_handler({});
  const std::lock_guard lock(mutex_);
  ref_ = false;
  if (!attachment_) return;
  if (loop_thread_ == std::this_thread::get_id()) return attachment_.detach();
  attachment_.core()->post([self = shared_from_this()] {
    const std::lock_guard its_lock(self->mutex_);
    self->attachment_.detach();
  });
}

void Ward::release() noexcept {
  set_exit_handler({});
  set_ref(false);
  const NoForks no_forks;
  next_released_ = std::exchange(first_released(), shared_from_this());
}

void Ward::reap_released() noexcept {
  const NoForks no_forks;
  for (std::shared_ptr<Ward>* link = &first_released(); *link != nullptr;) {
    Ward& ward = **link;
    if (!ward.inherited() && !ward.wait(0)) {
      link = &ward.next_released_;
      continue;
    }
    if (!ward.inherited()) ward.unwatch();
    const std::shared_ptr<Ward> done = std::move(*link);
    *link = std::move(done->next_released_);
  }
}

void Ward::forget_released() noexcept {
  const NoForks no_forks;
  for (std::shared_ptr<Ward>* link = &first_released(); *link != nullptr; link = &(*link)->next_released_) {
    if (link->get() != this) continue;
    *link = std::move(next_released_);
    return;
  }
}

std::size_t Ward::serve(std::size_t most) {
  if (most == 0) return 0;
  const auto status = wait(0);
  if (!status) return 0;
  const auto self = shared_from_this();
  ExitHandler handler;
  {
    const std::lock_guard lock(mutex_);
    attachment_.detach();
    handler = std::move(exit_handler_);
  }
  forget_released();
  try {
    if (handler) handler(*status);
  } catch (...) {
    static_cast<void>(report(std::current_exception()));
  }
  return 1;
}

}  // namespace portolan::port
