// SPDX-License-Identifier: Apache-2.0

// Another user, as only root can become one, and only where the machine knows it: not every container does.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>
#include <unistd.h>

#include "names/meeting_place.hpp"
#include "support/child_process.hpp"

namespace portolan::testing {

inline constexpr uid_t kStranger = 65534;

[[nodiscard]] inline bool become_stranger() noexcept {
  return ::setgid(kStranger) == 0 && ::setuid(kStranger) == 0;
}

/// Whether a child of this process could be the stranger, and would get to the place; says so if not.
[[nodiscard]] inline bool strangers_come_to(const MeetingPlace& place) {
  ChildProcess child = ChildProcess::fork(
      [&] { return become_stranger() && ::access(place.path("").c_str(), R_OK | W_OK | X_OK) == 0 ? 0 : 1; });
  const bool possible = child.wait() == ChildExit::exited(0);
  if (!possible)
    MESSAGE("left out: nobody here can be another user, or none of them reaches " << place.path(""));
  return possible;
}

}  // namespace portolan::testing
