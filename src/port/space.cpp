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

Space::Space(std::unique_ptr<port::Reservation> reservation, std::span<std::byte> bytes) noexcept
    : reservation_(reservation.release()), bytes_(bytes) {}

void Space::give_up(lane::Lanes* lanes, port::Reservation* owned) noexcept {
  if (lanes != nullptr) lanes->port().end_writing();
  delete owned;
}

void Space::wake_reader(const lane::Lanes& lanes) noexcept {
  lanes.port().used()->wake_reader();
}

void Space::become_reservation() {
  reservation_ = lanes_->port().reservation_for_space(bytes_).release();
  lanes_ = nullptr;
  bytes_ = {reservation_->begin(), bytes_.size()};
}

void Space::commit(std::size_t written, PostOptions options) {
  if (lanes_ != nullptr) become_reservation();
  if (reservation_ == nullptr)
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
  delete std::exchange(reservation_, nullptr);
  bytes_ = {};
}

}  // namespace v1
}  // namespace portolan
