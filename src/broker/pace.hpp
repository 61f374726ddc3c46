// SPDX-License-Identifier: Apache-2.0

// Whose packet is read next. The users who have sent something take turns, one packet each, however many
// connections they have; and who is not alone gets so many packets in a millisecond, so that whoever sends
// without end leaves others the processor as well.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace portolan::broker {

class Pace {
 public:
  static constexpr std::int64_t kWindowNs = 1'000'000;
  static constexpr std::uint32_t kMostPackets = 32;  // of a user in a window, if it is not alone
  // For so long somebody who has said something is there.
  static constexpr std::int64_t kPresentNs = 1'000'000'000;

  /// The connection has something to read; it waits for its turn behind its user's others.
  void come(std::uint32_t uid, std::uint64_t connection) { users_[uid].waiting.push_back(connection); }

  /// A packet of the user was read.
  void note(std::uint32_t uid, std::int64_t now_ns) {
    User& user = users_[uid];
    if (now_ns - user.window_ns >= kWindowNs) {
      user.window_ns = now_ns;
      user.packets = 0;
    }
    ++user.packets;
    user.last_ns = now_ns;
  }

  /// One connection of each user who may say something now: they wait no longer.
  void take_turns(std::int64_t now_ns, std::vector<std::uint64_t>& next) {
    next.clear();
    std::erase_if(users_, [&](const auto& each) {
      return each.second.waiting.empty() && now_ns - each.second.last_ns >= kPresentNs;
    });
    const bool alone = is_alone(now_ns);
    for (auto& [uid, user] : users_) {
      if (user.waiting.empty() || (!alone && user.has_had_its_part(now_ns))) continue;
      next.push_back(user.waiting.front());
      user.waiting.pop_front();
    }
  }

  /// When the next one of those who wait has its turn: not after `now_ns` if it may be read already.
  [[nodiscard]] std::optional<std::int64_t> next_turn_ns(std::int64_t now_ns) const noexcept {
    std::optional<std::int64_t> first;
    const bool alone = is_alone(now_ns);
    for (const auto& [uid, user] : users_) {
      if (user.waiting.empty()) continue;
      const std::int64_t turn_ns =
          !alone && user.has_had_its_part(now_ns) ? user.window_ns + kWindowNs : now_ns;
      first = std::min(first.value_or(turn_ns), turn_ns);
    }
    return first;
  }

 private:
  struct User {
    std::int64_t window_ns = 0;  // when it began
    std::uint32_t packets = 0;   // since then
    std::int64_t last_ns = 0;
    std::deque<std::uint64_t> waiting;

    [[nodiscard]] bool has_had_its_part(std::int64_t now_ns) const noexcept {
      return packets >= kMostPackets && now_ns - window_ns < kWindowNs;
    }
  };

  [[nodiscard]] bool is_alone(std::int64_t now_ns) const noexcept {
    return std::count_if(users_.begin(), users_.end(), [&](const auto& each) {
             return !each.second.waiting.empty() || now_ns - each.second.last_ns < kPresentNs;
           }) <= 1;
  }

  std::map<std::uint32_t, User> users_;
};

}  // namespace portolan::broker
