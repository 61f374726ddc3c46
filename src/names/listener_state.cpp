// SPDX-License-Identifier: Apache-2.0

#include "names/listener_state.hpp"

#include <exception>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/logging.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/reporting.hpp"

namespace portolan::names {

ListenerState::ListenerState(Address address, const ListenOptions& options)
    : address_(std::move(address)), reception_(open_reception(address_, options)) {
  enrol();
}

ListenerState::~ListenerState() {
  withdraw();
  close();
}

std::optional<ConnectEvent> ListenerState::next() {
  // Until the descriptors are a port's, which a fork knows of.
  const port::NoForks no_forks;
  auto introduction = reception_->next();
  if (!introduction) return std::nullopt;
  auto state = std::make_shared<port::PortState>(std::move(introduction->parcel));
  return ConnectEvent(port::PortAccess::make(std::move(state)), std::move(introduction->peer));
}

std::optional<ConnectEvent> ListenerState::wait(std::int64_t deadline_ns) {
  for (;;) {
    if (auto event = next()) return event;
    if (deadline_ns < 0) {
      static_cast<void>(reception_->wait(-1));
      continue;
    }
    const std::int64_t left_ns = deadline_ns - os::monotonic_ns();
    if (left_ns <= 0) return std::nullopt;
    static_cast<void>(reception_->wait(left_ns));
  }
}

void ListenerState::bind(EventLoop& loop, std::shared_ptr<port::Listeners> listeners) {
  listeners_ = std::move(listeners);
  if (!attachment_) attachment_ = port::LoopAttachment(loop, *this);
  attachment_.wake();
}

void ListenerState::close() noexcept {
  attachment_.detach();
  std::unique_ptr<Reception> closing;
  {
    const port::NoForks no_forks;  // a fork finds it here, or closed
    if (reception_ && !os::forked_since(birth_)) reception_->close();
    closing = std::move(reception_);
  }
}

std::size_t ListenerState::serve(std::size_t most) {
  const auto self = shared_from_this();
  std::size_t served = 0;
  try {
    while (served < most && is_open() && listeners_->has("connect")) {
      auto event = next();
      if (!event) break;
      ++served;
      dispatch(*event);
    }
  } catch (const PortError& refusal) {
    // They wait, and the reception tries again after a moment.
    port::log(LogLevel::warning, [&] { return std::string(refusal.what()); });
  } catch (...) {
    static_cast<void>(port::report(std::current_exception()));
  }
  return served;
}

void ListenerState::dispatch(ConnectEvent& event) noexcept {
  const auto listeners = listeners_;
  try {
    listeners->dispatch(event);
  } catch (...) {
    static_cast<void>(port::report(std::current_exception()));
  }
}

bool ListenerState::ready() noexcept {
  return is_open() && listeners_ && listeners_->has("connect") && reception_->wait(0);
}

bool ListenerState::keeps_loop_alive() const noexcept {
  return is_open() && ref_ && listeners_ && listeners_->has("connect");
}

void ListenerState::become_inert() noexcept {
  if (reception_) reception_->disown();
}

}  // namespace portolan::names
