// SPDX-License-Identifier: Apache-2.0

// The channels that a subcommand is about: found, looked at twice for their rates, and filtered.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "inspect/channel.hpp"

namespace command {

using portolan::inspect::Channel;
using portolan::inspect::to_text;
using portolan::ring::Side;

struct Rate {
  double messages = 0;  // posted, a second
  double bytes = 0;
};

struct LookedAt {
  Channel channel;
  std::optional<std::array<Rate, 2>> rate;  // by the Side that writes; nothing after one look
};

struct Filter {
  std::string core;   // a core dump to look at in place of what lives
  std::string label;  // a glob; empty: all
  int pid = 0;        // that has an end; 0: all
  bool unread = false;
  bool waiting = false;
  bool in_transit = false;
};

/// No channel is what was asked for.
class NothingFound : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Whether the channel passes all of the filter.
[[nodiscard]] bool passes(const Channel& channel, const Filter& filter);

/// All that this user may see, or all that the core dump has. Says on stderr what looked like a channel and
/// cannot be read.
[[nodiscard]] portolan::inspect::Channels find_channels(const std::string& core);

/// Looks once, and again after `interval` unless it is zero or a core dump is looked at.
[[nodiscard]] std::vector<LookedAt> look(const Filter& filter, std::chrono::milliseconds interval);

/// Looks again at what was found before; channels whose memory is gone are left out.
void look_again(std::vector<LookedAt>& channels, std::chrono::duration<double> since_last);

/// What was posted a second between two looks at one channel.
[[nodiscard]] std::array<Rate, 2> rates_between(const Channel& before, const Channel& now,
                                                std::chrono::duration<double> time);

/// The channel whose id begins with `name`, or whose label is `name`. Throws NothingFound if there
/// is none, std::runtime_error if there are several; both say what to do.
[[nodiscard]] Channel find_channel(const std::string& name, const std::string& core = {});

/// "A" and "B".
[[nodiscard]] char letter_of(Side side) noexcept;
/// "server[1201]", "in transit", ...
[[nodiscard]] std::string end_text(const Channel& channel, Side side);
/// "A for B", "B for room, A for B"; empty if nobody waits.
[[nodiscard]] std::string waits_text(const Channel& channel);
/// All that is known of the channel, as one JSON object.
[[nodiscard]] std::string channel_json(const LookedAt& looked);

inline constexpr std::array<Side, 2> kSides{Side::a, Side::b};
constexpr std::size_t index(Side side) noexcept {
  return static_cast<std::size_t>(side);
}

}  // namespace command
