// SPDX-License-Identifier: Apache-2.0

#include "os/descriptor_room.hpp"

#include <cerrno>
#include <climits>
#include <cstdint>
#include <exception>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include <portolan/file_descriptor.hpp>

#include "os/refusal.hpp"

namespace portolan::os {
namespace {

// A table whose last places are free has room, and asking about them makes nothing that has to be closed
// again.
bool last_places_free(std::size_t count) noexcept {
  const std::uint64_t limit = descriptor_limit();
  if (limit > INT_MAX || limit < count) return false;
  int place = static_cast<int>(limit);
  for (std::size_t i = 0; i < count; ++i)
    if (::fcntl(--place, F_GETFD) != -1 || errno != EBADF) return false;
  return true;
}

// One eventfd and duplicates of it. Never duplicates of a channel's socket: a fork meanwhile would keep that
// channel alive in the child.
std::error_code occupy(std::size_t count) noexcept {
  std::vector<FileDescriptor> places;
  try {
    places.reserve(count);
  } catch (const std::exception&) {  // bad_alloc, or length_error for a count beyond all reason
    return std::make_error_code(std::errc::not_enough_memory);
  }
  while (places.size() < count) {
    FileDescriptor place(places.empty() ? ::eventfd(0, EFD_CLOEXEC)
                                        : ::fcntl(places.front().get(), F_DUPFD_CLOEXEC, 0));
    if (!place) return last_error();
    places.push_back(std::move(place));
  }
  return {};
}

}  // namespace

std::error_code require_descriptor_room(std::size_t count) noexcept {
  return last_places_free(count) ? std::error_code{} : occupy(count);
}

std::uint64_t descriptor_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

}  // namespace portolan::os
