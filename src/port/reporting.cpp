// SPDX-License-Identifier: Apache-2.0

#include "port/reporting.hpp"

#include <utility>

#include "port/loop_access.hpp"
#include "port/loop_core.hpp"

namespace portolan::port {

void ExceptionReporter::set_handler(Handler handler) {
  handler_ = handler ? std::make_shared<Handler>(std::move(handler)) : nullptr;
}

bool ExceptionReporter::report(const std::exception_ptr& exception) noexcept {
  if (const auto handler = handler_) {
    try {
      (*handler)(exception);
      return true;
    } catch (...) {
      if (turns_ == 0) return false;
      if (!first_) first_ = std::current_exception();
      return true;
    }
  }
  if (turns_ == 0) return false;
  if (!first_) first_ = exception;
  return true;
}

std::exception_ptr ExceptionReporter::end_turn() noexcept {
  return --turns_ == 0 ? std::exchange(first_, nullptr) : nullptr;
}

bool report(const std::exception_ptr& exception) noexcept {
  const LoopCore* core = LoopCore::of_this_thread();
  return core != nullptr && core->exceptions()->report(exception);
}

Turn::Turn() : reporter_(EventLoopAccess::core(EventLoop::current())->exceptions()) {
  reporter_->begin_turn();
}

Turn::~Turn() {
  if (reporter_) (void)reporter_->end_turn();
}

void Turn::end() {
  const auto first = std::exchange(reporter_, nullptr)->end_turn();
  if (first) std::rethrow_exception(first);
}

}  // namespace portolan::port
