// SPDX-License-Identifier: Apache-2.0

// How much of the broker's time a user gets: as much as it wants while it is alone, and else so many packets
// in a millisecond, so that whoever sends without end makes nobody else wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace portolan::broker {

class Pace {
 public:
  static constexpr std::int64_t kWindowNs = 1'000'000;
  static constexpr std::uint32_t kMostPackets = 8;  // of a user in a window, if it is not alone
  static constexpr std::int64_t kPresentNs =
      1'000'000'000;  // so long somebody who has said something is there

  void note(std::uint32_t uid, std::int64_t now_ns) {
    User& user = users_[uid];
    if (now_ns - user.window_ns >= kWindowNs) user = {now_ns, 0, 0};
    ++user.packets;
    user.last_ns = now_ns;
  }

  /// Whether the user has had what it gets until its window ends.
  [[nodiscard]] bool is_over(std::uint32_t uid, std::int64_t now_ns) noexcept {
    const auto found = users_.find(uid);
    if (found == users_.end() || now_ns - found->second.window_ns >= kWindowNs ||
        found->second.packets < kMostPackets)
      return false;
    std::erase_if(users_, [&](const auto& each) { return now_ns - each.second.last_ns >= kPresentNs; });
    return users_.size() > 1;
  }

 private:
  struct User {
    std::int64_t window_ns = 0;  // when it began
    std::uint32_t packets = 0;
    std::int64_t last_ns = 0;
  };
  std::map<std::uint32_t, User> users_;
};

}  // namespace portolan::broker
