// SPDX-License-Identifier: Apache-2.0

// Occupied places in the descriptor table: one eventfd and duplicates of it. Never duplicates of a channel's
// socket: a fork between here and the release would keep that channel alive in the child.
#include "os/descriptor_room.hpp"

#include <algorithm>
#include <exception>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <utility>

#include "os/refusal.hpp"

namespace portolan::os {

std::error_code DescriptorRoom::reserve(std::size_t count) noexcept {
  const std::size_t before = places_.size();
  try {
    places_.reserve(before + count);
  } catch (const std::exception&) {  // bad_alloc, or length_error for a count beyond all reason
    return std::make_error_code(std::errc::not_enough_memory);
  }
  for (std::size_t i = 0; i < count; ++i) {
    FileDescriptor place(places_.empty() ? ::eventfd(0, EFD_CLOEXEC)
                                         : ::fcntl(places_.front().get(), F_DUPFD_CLOEXEC, 0));
    if (!place) {
      const std::error_code error = last_error();
      release(i);
      return error;
    }
    places_.push_back(std::move(place));
  }
  return {};
}

void DescriptorRoom::release(std::size_t count) noexcept {
  places_.resize(places_.size() - std::min(count, places_.size()));
}

}  // namespace portolan::os
