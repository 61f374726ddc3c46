// SPDX-License-Identifier: Apache-2.0

// Channels that are looked at again and again: what was seen before tells their rates, and how long at least
// the oldest unread message has waited.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "looking.hpp"

namespace command {

enum class SortBy : std::uint8_t { rate, unread, oldest, memory, label };

class Followed {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kHistory = 16;  // looks that a sparkline shows

  struct Line {
    LookedAt looked;
    std::deque<double> history;                           // messages a second, both ways, the latest last
    std::array<std::optional<double>, 2> oldest;          // seconds, at least; nothing if nothing is unread
    [[nodiscard]] double rate() const noexcept;           // messages a second, both ways
    [[nodiscard]] std::uint64_t unread() const noexcept;  // messages, both ways
    [[nodiscard]] double longest_wait() const noexcept;
  };

  /// Looks at everything, and keeps what it has of those that are still there.
  void look(const Filter& filter);
  /// In the order that was asked for, the most first.
  [[nodiscard]] std::vector<const Line*> sorted(SortBy by) const;
  [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

 private:
  // When so many messages had been posted: what was posted then has waited since then at least.
  struct Seen {
    Clock::time_point when;
    std::array<std::uint64_t, 2> posted;
  };
  struct Past {
    Line line;
    std::deque<Seen> seen;
  };

  void add(Channel channel, Clock::time_point now, std::map<std::string, Past>& present);

  std::map<std::string, Past> lines_;  // by the channel's id
};

/// One letter for each rate, from nothing to the highest of them.
[[nodiscard]] std::string sparkline(const std::deque<double>& rates);

}  // namespace command
