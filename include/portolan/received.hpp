// SPDX-License-Identifier: Apache-2.0

// The outcome of a receive: a message, or why there is none.
#pragma once

#include <cstdint>
#include <utility>

#include <portolan/export.hpp>
#include <portolan/message_event.hpp>

namespace portolan {
inline namespace v1 {

enum class ReceiveStatus : std::uint8_t {
  message,    ///< there is one
  empty,      ///< nothing there now, or nothing that can be had yet: see Trust (try_receive only)
  timed_out,  ///< nothing came in time
  stopped,    ///< the stop token was triggered
  closed,     ///< the other end is gone and everything was read; or this end was closed or detached
};

/// Converts to true if there is a message, which `->` and `*` give: an empty one if there is none. As an
/// event it belongs to the receiving thread, and the next receive counts it as read.
class Received {
 public:
  Received() noexcept = default;
  explicit Received(ReceiveStatus status) noexcept : outcome_(status) {}
  explicit Received(MessageEvent event) noexcept
      : event_(std::move(event)), outcome_(ReceiveStatus::message) {}
  /// The moved-from one is empty.
  Received(Received&& other) noexcept
      : event_(std::move(other.event_)), outcome_(std::exchange(other.outcome_, ReceiveStatus::empty)) {}
  Received& operator=(Received&& other) noexcept {
    event_ = std::move(other.event_);
    outcome_ = std::exchange(other.outcome_, ReceiveStatus::empty);
    return *this;
  }
  // Called out of line in a path of exceptions, it would put the event into memory.
  [[gnu::always_inline]] ~Received() {}

  [[nodiscard]] explicit operator bool() const noexcept { return outcome_ == ReceiveStatus::message; }
  [[nodiscard]] ReceiveStatus status() const noexcept { return outcome_; }
  [[nodiscard]] MessageEvent* operator->() noexcept PORTOLAN_LIFETIMEBOUND { return &event_; }
  [[nodiscard]] MessageEvent& operator*() & noexcept PORTOLAN_LIFETIMEBOUND { return event_; }
  [[nodiscard]] MessageEvent&& operator*() && noexcept { return std::move(event_); }

 private:
  friend class port::PortState;
  friend class MessagePort;

  Received(const lane::Loan& loan, const lane::Lanes& lanes) noexcept
      : event_(loan, lanes), outcome_(ReceiveStatus::message) {}

  MessageEvent event_;
  ReceiveStatus outcome_ = ReceiveStatus::empty;
};

}  // namespace v1
}  // namespace portolan
