// SPDX-License-Identifier: Apache-2.0

#include <utility>

#include <portolan/connect.hpp>
#include <portolan/error.hpp>

#include "names/attempt.hpp"

namespace portolan {
inline namespace v1 {

MessagePort connect(std::string_view address, ConnectOptions options) {
  names::Attempt attempt(address, std::move(options));
  for (;;) {
    if (auto port = attempt.poll()) return std::move(*port);
    attempt.wait();
  }
}

MessagePort connect(std::string_view address, std::chrono::nanoseconds deadline) {
  return connect(address, ConnectOptions{.deadline = deadline});
}

MessagePort connect(std::string_view address, std::chrono::nanoseconds deadline, std::error_code& error) {
  error.clear();
  try {
    return connect(address, deadline);
  } catch (const PortError& refusal) {
    error = refusal.code();
    return {};
  }
}

MessagePort connect(std::string_view address, std::error_code& error) {
  return connect(address, ConnectOptions{}.deadline, error);
}

ConnectAttempt::ConnectAttempt(std::string_view address, ConnectOptions options)
    : attempt_(std::make_unique<names::Attempt>(address, std::move(options))) {}
ConnectAttempt::ConnectAttempt(ConnectAttempt&& other) noexcept = default;
ConnectAttempt& ConnectAttempt::operator=(ConnectAttempt&& other) noexcept = default;
ConnectAttempt::~ConnectAttempt() = default;

int ConnectAttempt::native_handle() const noexcept {
  return attempt_ ? attempt_->descriptor() : -1;
}

std::optional<MessagePort> ConnectAttempt::poll() {
  if (!attempt_)
    throw InvalidStateError("ConnectAttempt::poll(): it has ended, or was moved from; make another one");
  try {
    auto port = attempt_->poll();
    if (port) attempt_.reset();
    return port;
  } catch (...) {
    attempt_.reset();
    throw;
  }
}

}  // namespace v1
}  // namespace portolan
