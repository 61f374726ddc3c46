// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>
#include <portolan/listener.hpp>

#include "names/listener_state.hpp"
#include "os/pause.hpp"

namespace portolan {
inline namespace v1 {

ConnectEvent::ConnectEvent(MessagePort port, PeerIdentity peer) noexcept
    : Event(LibraryMade{"connect"}), port_(std::move(port)), peer_(std::move(peer)) {}
ConnectEvent::~ConnectEvent() = default;
ConnectEvent::ConnectEvent(ConnectEvent&&) noexcept = default;
ConnectEvent& ConnectEvent::operator=(ConnectEvent&&) noexcept = default;

Listener::Listener(std::string_view address, ListenOptions options)
    : state_(std::make_shared<names::ListenerState>(names::parse_address("Listener", address), options)) {}

Listener::Listener(std::string_view address, ListenOptions options, std::error_code& error) {
  error.clear();
  try {
    state_ = std::make_shared<names::ListenerState>(names::parse_address("Listener", address), options);
  } catch (const PortError& refusal) {
    error = refusal.code();
  }
}

Listener::Listener(Listener&& other) noexcept = default;

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this == &other) return *this;
  close();
  EventTarget::operator=(static_cast<EventTarget&&>(other));
  state_ = std::move(other.state_);
  return *this;
}

Listener::~Listener() {
  close();
}

names::ListenerState& Listener::state(const char* call) const {
  if (!state_ || !state_->is_open())
    throw InvalidStateError(std::string("Listener::") + call +
                            "(): it is closed, moved from, or a forked child's copy; make another one");
  return *state_;
}

void Listener::bind() {
  state("on_connect").bind(EventLoop::current(), port::EventTargetAccess::listeners(*this));
}

ConnectEvent Listener::accept() {
  return *state("accept").wait(-1);
}

std::optional<ConnectEvent> Listener::accept_for(std::chrono::nanoseconds patience) {
  return state("accept_for").wait(os::monotonic_ns() + std::max<std::int64_t>(patience.count(), 0));
}

std::optional<ConnectEvent> Listener::try_accept() {
  return state("try_accept").next();
}

int Listener::native_handle() const {
  return state("native_handle").reception().descriptor();
}

void Listener::close() noexcept {
  if (const auto state = std::exchange(state_, nullptr)) state->close();
}

bool Listener::is_open() const noexcept {
  return state_ && state_->is_open();
}

const std::string& Listener::address() const noexcept {
  static const std::string none;
  return state_ ? state_->address().text : none;
}

std::uint64_t Listener::generation() const noexcept {
  return is_open() ? state_->reception().generation() : 0;
}

void Listener::ref() noexcept {
  if (state_) state_->set_ref(true);
}

void Listener::unref() noexcept {
  if (state_) state_->set_ref(false);
}

}  // namespace v1
}  // namespace portolan
