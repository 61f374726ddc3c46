// SPDX-License-Identifier: Apache-2.0

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/space.hpp>

#include "port/port_state.hpp"
#include "port/reservation.hpp"

namespace portolan {

namespace port {

std::byte* PortState::open_space(std::size_t bytes) noexcept {
  std::byte* const room = lanes_.room(bytes);
  if (room != nullptr) set_writing(Writing::space);
  return room;
}

bool PortState::commit_space(const std::byte* room, std::size_t written) noexcept {
  set_writing(Writing::nothing);
  // Closed meanwhile, or other ports have posted: a post is more then than to publish.
  if (lanes_.room(written) != room) {
    set_writing(Writing::space);
    return false;
  }
  if (lanes_.publish(ring::FrameHeader::message(static_cast<std::uint32_t>(written),
                                                static_cast<unsigned>(Format::bytes), false, false)))
    used()->wake_reader();
  const std::shared_ptr<PortState> last = std::move(kept_by_space_);
  return true;
}

std::unique_ptr<Reservation> PortState::reservation_for_space(std::span<const std::byte> bytes) {
  set_writing(Writing::nothing);
  try {
    auto reservation = std::make_unique<Reservation>(shared_from_this(), bytes.size(), Writing::space);
    std::byte* const room = reservation->append(bytes.size());
    if (room != bytes.data()) std::memcpy(room, bytes.data(), bytes.size());
    kept_by_space_.reset();
    return reservation;
  } catch (...) {
    set_writing(Writing::space);
    throw;
  }
}

void PortState::end_writing() noexcept {
  set_writing(Writing::nothing);
  const std::shared_ptr<PortState> last = std::move(kept_by_space_);
}

}  // namespace port

inline namespace v1 {

Space::Space(port::PortState& port, std::span<std::byte> bytes) noexcept : port_(&port), bytes_(bytes) {}
Space::Space(std::unique_ptr<port::Reservation> reservation, std::span<std::byte> bytes) noexcept
    : reservation_(std::move(reservation)), bytes_(bytes) {}

Space::Space(Space&& other) noexcept
    : port_(std::exchange(other.port_, nullptr)),
      reservation_(std::move(other.reservation_)),
      bytes_(std::exchange(other.bytes_, {})) {}

Space& Space::operator=(Space&& other) noexcept {
  if (this == &other) return *this;
  drop();
  port_ = std::exchange(other.port_, nullptr);
  reservation_ = std::move(other.reservation_);
  bytes_ = std::exchange(other.bytes_, {});
  return *this;
}

Space::~Space() {
  drop();
}

void Space::drop() noexcept {
  if (port_ != nullptr) std::exchange(port_, nullptr)->end_writing();
}

void Space::become_reservation() {
  reservation_ = port_->reservation_for_space(bytes_);
  port_ = nullptr;
  bytes_ = {reservation_->begin(), bytes_.size()};
}

bool Space::published(std::size_t written) noexcept {
  if (port_ == nullptr || written > bytes_.size() || !port_->commit_space(bytes_.data(), written))
    return false;
  port_ = nullptr;
  bytes_ = {};
  return true;
}

void Space::commit(std::size_t written, PostOptions options) {
  if (options.transfer.empty() && published(written)) return;
  if (port_ != nullptr) become_reservation();
  if (!reservation_)
    throw InvalidStateError(
        "Space::commit: this space was committed or moved from already; reserve() another one");
  if (written > bytes_.size())
    throw std::length_error("Space::commit(" + std::to_string(written) + "): only " +
                            std::to_string(bytes_.size()) + " bytes were reserved");
  reservation_->check_list(options.transfer);
  reservation_->shorten(written);
  PostResult result = PostResult::full;
  try {
    result = reservation_->send(Format::bytes, std::chrono::nanoseconds::zero());
  } catch (...) {
    bytes_ = {reservation_->begin(), bytes_.size()};
    throw;
  }
  if (result == PostResult::full) {
    bytes_ = {reservation_->begin(), bytes_.size()};
    throw QueueFullError(
        "Space::commit(" + std::to_string(written) + " bytes on " + reservation_->port_name() +
        "): there is no room for the ports and descriptors; let the peer read, then try again");
  }
  reservation_.reset();
  bytes_ = {};
}

}  // namespace v1
}  // namespace portolan
