// SPDX-License-Identifier: Apache-2.0

#include <stdexcept>
#include <string>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/space.hpp>

#include "port/reservation.hpp"

namespace portolan {
inline namespace v1 {

Space::Space(std::unique_ptr<port::Reservation> reservation, std::span<std::byte> bytes) noexcept
    : reservation_(std::move(reservation)), bytes_(bytes) {}

Space::Space(Space&&) noexcept = default;
Space& Space::operator=(Space&&) noexcept = default;
Space::~Space() = default;

void Space::commit(std::size_t written, PostOptions options) {
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
