// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>
#include <portolan/name_watch.hpp>

#include "names/watch_state.hpp"
#include "os/pause.hpp"

namespace portolan {
inline namespace v1 {

std::string_view to_string(NameNews news) noexcept {
  switch (news) {
    case NameNews::appeared:
      return "appeared";
    case NameNews::gone:
      return "gone";
    case NameNews::replaced:
      return "replaced";
  }
  return "unknown";
}

NameEvent::NameEvent(NameNews news, std::string name, std::uint64_t generation, Peer owner) noexcept
    : Event(LibraryMade{to_string(news)}),
      news_(news),
      name_(std::move(name)),
      generation_(generation),
      owner_(owner) {}
NameEvent::~NameEvent() = default;
NameEvent::NameEvent(NameEvent&&) noexcept = default;
NameEvent& NameEvent::operator=(NameEvent&&) noexcept = default;

NameWatch::NameWatch(std::string_view pattern) : state_(std::make_shared<names::WatchState>(pattern)) {}
NameWatch::NameWatch(NameWatch&& other) noexcept = default;

NameWatch& NameWatch::operator=(NameWatch&& other) noexcept {
  if (this == &other) return *this;
  close();
  EventTarget::operator=(static_cast<EventTarget&&>(other));
  state_ = std::move(other.state_);
  return *this;
}

NameWatch::~NameWatch() {
  close();
}

names::WatchState& NameWatch::state(const char* call) const {
  if (!state_ || !state_->is_open())
    throw InvalidStateError(std::string("NameWatch::") + call +
                            "(): it is closed, moved from, or a forked child's copy; make another one");
  return *state_;
}

void NameWatch::listen(NameNews news, ListenerCallback handler) {
  names::WatchState& watch = state("on_appeared");
  set_handler(to_string(news), std::move(handler));
  watch.bind(EventLoop::current(), port::EventTargetAccess::listeners(*this));
}

std::optional<NameEvent> NameWatch::next_for(std::chrono::nanoseconds patience) {
  return state("next_for").wait(os::monotonic_ns() + std::max<std::int64_t>(patience.count(), 0));
}

int NameWatch::native_handle() const {
  return state("native_handle").descriptor();
}

void NameWatch::close() noexcept {
  if (const auto state = std::exchange(state_, nullptr)) state->close();
}

bool NameWatch::is_open() const noexcept {
  return state_ && state_->is_open();
}

}  // namespace v1
}  // namespace portolan
