// SPDX-License-Identifier: Apache-2.0

#include <string>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_target.hpp>

#include "port/listeners.hpp"

namespace portolan {
inline namespace v1 {

EventTarget::EventTarget() noexcept = default;

EventTarget::~EventTarget() {
  if (listeners_) listeners_->abandon();
}

EventTarget::EventTarget(EventTarget&& other) noexcept : listeners_(std::move(other.listeners_)) {
  if (listeners_) listeners_->move_to(*this);
}

EventTarget& EventTarget::operator=(EventTarget&& other) noexcept {
  if (this == &other) return *this;
  const auto former = std::exchange(listeners_, std::move(other.listeners_));
  if (listeners_) listeners_->move_to(*this);
  if (former) former->abandon();
  return *this;
}

void EventTarget::remove_event_listener(ListenerId id) noexcept {
  if (const auto listeners = listeners_) listeners->remove(id);
}

bool EventTarget::dispatch_event(Event& event) {
  if (event.has(Event::kDispatching)) {
    throw InvalidStateError("dispatch_event(\"" + std::string(event.type()) +
                            "\"): this event is being dispatched already; make another one");
  }
  const auto target = listeners();
  if (event.user_made_ == nullptr) event.user_made_ = new Event::UserMade{};
  event.user_made_->target = target;
  event.flags_ &= ~static_cast<unsigned>(Event::kTrusted);
  target->dispatch(event);
  return !event.default_prevented();
}

void EventTarget::set_handler(std::string_view type, ListenerCallback handler) {
  const auto target = listeners();
  target->set_handler(type, std::move(handler));
}

bool EventTarget::has_listener(std::string_view type) const noexcept {
  return listeners_ && listeners_->has(type);
}

ListenerId EventTarget::add(std::string_view type, ListenerCallback listener, ListenerOptions options) {
  return listeners()->add(type, std::move(listener), std::move(options));
}

const std::shared_ptr<port::Listeners>& EventTarget::listeners() {
  if (!listeners_) listeners_ = std::make_shared<port::Listeners>(*this);
  return listeners_;
}

}  // namespace v1
}  // namespace portolan
