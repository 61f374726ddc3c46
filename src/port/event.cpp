// SPDX-License-Identifier: Apache-2.0

#include <utility>

#include <portolan/close_event.hpp>
#include <portolan/event.hpp>

#include "port/listeners.hpp"

namespace portolan {
inline namespace v1 {

Event::Event(std::string type, EventInit init)
    : user_made_(new UserMade{std::move(type), nullptr}),
      flags_((init.bubbles ? kBubbles : 0U) | (init.cancelable ? kCancelable : 0U)) {
  type_ = user_made_->type;
}

Event& Event::operator=(Event&& other) noexcept {
  if (this == &other) return *this;
  forget(user_made_);
  type_ = other.type_;
  target_ = std::exchange(other.target_, nullptr);
  user_made_ = std::exchange(other.user_made_, nullptr);
  flags_ = other.flags_;
  return *this;
}

void Event::forget(UserMade* owned) noexcept {
  delete owned;
}
void Event::keep_vtable_in_library() const noexcept {}

EventTarget* Event::target() const noexcept {
  return target_ != nullptr ? target_->owner() : nullptr;
}

EventTarget* Event::current_target() const noexcept {
  return has(kDispatching) ? target() : nullptr;
}

CloseEvent::~CloseEvent() = default;
CloseEvent::CloseEvent(CloseEvent&&) noexcept = default;
CloseEvent& CloseEvent::operator=(CloseEvent&&) noexcept = default;

std::string_view to_string(CloseReason reason) noexcept {
  switch (reason) {
    case CloseReason::closed:
      return "closed";
    case CloseReason::peer_died:
      return "peer_died";
    case CloseReason::protocol_error:
      return "protocol_error";
    case CloseReason::owner_gone:
      return "owner_gone";
  }
  return "unknown";
}

}  // namespace v1
}  // namespace portolan
