// SPDX-License-Identifier: Apache-2.0

// How fast is fast enough: what the peer has read, what has to be there before the loop is bothered, and when
// there is room again.

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>

#include <portolan/drained.hpp>
#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/enclosures.hpp"
#include "port/port_state.hpp"

namespace portolan::port {

void PortState::set_threshold(Threshold least) noexcept {
  threshold_ = least;
  above_threshold_ = false;
  look_again();
}

bool PortState::drain_is_due(Endpoint& endpoint) noexcept {
  if (!low_water_) return endpoint.drained_half();
  const auto [messages, bytes] = endpoint.unread();
  return messages <= low_water_->messages && bytes <= low_water_->bytes && endpoint.socket_has_room(1);
}

// Once it was reached, everything is delivered.
bool PortState::below_threshold(Endpoint& endpoint) noexcept {
  if (threshold_.messages == 0 && threshold_.bytes == 0) [[likely]]
    return false;
  if (dry(endpoint) || !earlier_.empty() || endpoint.peer_closed() || endpoint.status() != Status::open)
    return above_threshold_ = false;
  if (above_threshold_) return false;
  const auto [messages, bytes] = endpoint.waiting();
  above_threshold_ = (threshold_.messages != 0 && messages >= threshold_.messages) ||
                     (threshold_.bytes != 0 && bytes >= threshold_.bytes);
  return !above_threshold_;
}

Endpoint::Take PortState::take_queued(Endpoint& endpoint, MessageEvent& event) {
  if (!earlier_.empty()) [[unlikely]]
    return take_earlier(event), Endpoint::Take::message;
  if (trust_ != Trust::foreign) return take_in_ring(endpoint, event);
  if (intake_.is_behind()) [[unlikely]] {
    ring::Reader::Frame frame;
    const Endpoint::Take found = find_message(endpoint, frame, event);
    if (found != Endpoint::Take::message) return found;
    if (frame.header.attachments() && intake_.must_wait()) return Endpoint::Take::waits;
  }
  const Endpoint::Take taken = take_in_ring(endpoint, event);
  if (event.enclosures_ != nullptr) intake_.took(event.enclosures_->descriptors.size());
  return taken;
}

void PortState::look_later() {
  constexpr std::chrono::milliseconds kLook{1};
  if (looks_later_ || !attachment_) return;
  try {
    attachment_.core()->set_timer(std::chrono::nanoseconds(kLook).count(), 0, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->looks_later_ = false;
      self->look_again();
    });
    looks_later_ = true;
  } catch (const std::bad_alloc&) {  // the loop's look once a second finds it
  }
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

namespace {

constexpr std::int64_t kFirstLookNs = 10'000, kLastLookNs = 1'000'000;

}  // namespace

DrainStatus Drained::status() noexcept {
  port::Endpoint* const endpoint = port_ ? port_->used() : nullptr;
  if (endpoint == nullptr) return DrainStatus::ended;
  // What this channel's reader has to read is not known one by one any more: all that has gone over to it.
  if (std::exchange(over_, endpoint) != endpoint) messages_ = port_->posted_at_merge();
  const lane::Status standing = endpoint->status();
  if (standing == lane::Status::detached || standing == lane::Status::inert) return DrainStatus::ended;
  const bool ended = standing != lane::Status::open || endpoint->peer_closed();
  // Asked before the count: what was read before the end counts.
  if (endpoint->read_by_peer() >= messages_) return DrainStatus::drained;
  if (ended) return DrainStatus::ended;
  endpoint->look_for_hang_up();
  return DrainStatus::pending;
}

DrainStatus Drained::wait_for(std::chrono::nanoseconds patience) {
  const std::int64_t began_ns = os::monotonic_ns();
  for (std::int64_t look_ns = kFirstLookNs;; look_ns = std::min(2 * look_ns, kLastLookNs)) {
    const DrainStatus now = status();
    const std::int64_t left_ns = patience.count() - (os::monotonic_ns() - began_ns);
    if (now != DrainStatus::pending || left_ns <= 0) return now;
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(look_ns, left_ns)));
  }
}

void Drained::when_done(Callback<void()> call) {
  struct Look {
    Drained drained;
    Callback<void()> call;
    std::int64_t next_ns = kFirstLookNs;

    static void at(std::shared_ptr<Look> look) {
      EventLoop& loop = EventLoop::current();
      if (look->drained.done()) return loop.post(std::move(look->call));
      const std::chrono::nanoseconds delay(look->next_ns);
      look->next_ns = std::min(2 * look->next_ns, kLastLookNs);
      loop.set_timeout(delay, [look = std::move(look)]() mutable { at(std::move(look)); });
    }
  };
  Look::at(std::make_shared<Look>(Look{*this, std::move(call)}));
}

}  // namespace v1
}  // namespace portolan
