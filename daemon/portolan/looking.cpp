// SPDX-License-Identifier: Apache-2.0

#include "looking.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/core.h>
#include <fnmatch.h>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "inspect/core_dump.hpp"

namespace command {
namespace {

using portolan::inspect::EndPlace;
using portolan::inspect::Holder;

using Clock = std::chrono::steady_clock;

Rate rate_of(const portolan::inspect::DirectionSnapshot& before,
             const portolan::inspect::DirectionSnapshot& now, double seconds) {
  const auto gained = [seconds](std::uint64_t earlier, std::uint64_t later) {
    return later > earlier && seconds > 0 ? static_cast<double>(later - earlier) / seconds : 0.0;
  };
  return {gained(before.posted_messages, now.posted_messages),
          gained(before.posted_bytes, now.posted_bytes) +
              gained(before.posted_large_bytes, now.posted_large_bytes)};
}

bool has_end(const Channel& channel, int pid) {
  return std::any_of(channel.segment.holders.begin(), channel.segment.holders.end(),
                     [pid](const Holder& holder) { return holder.pid == pid; });
}

}  // namespace

bool passes(const Channel& channel, const Filter& filter) {
  if (!filter.label.empty() && ::fnmatch(filter.label.c_str(), channel.control.label.c_str(), 0) != 0)
    return false;
  if (filter.pid != 0 && !has_end(channel, filter.pid)) return false;
  bool unread = false, waiting = false, in_transit = false;
  for (const Side side : kSides) {
    unread = unread || channel.control.direction[index(side)].unread_messages() > 0;
    waiting = waiting || channel.waits_for_message(side) || channel.waits_for_room(side);
    in_transit = in_transit || channel.end[index(side)].place == EndPlace::in_transit;
  }
  return (unread || !filter.unread) && (waiting || !filter.waiting) && (in_transit || !filter.in_transit);
}

portolan::inspect::Channels find_channels(const std::string& core) {
  portolan::inspect::Channels found =
      core.empty() ? portolan::inspect::find_channels() : portolan::inspect::read_core_dump(core);
  for (const std::string& complaint : found.unreadable) fmt::print(stderr, "portolan: {}\n", complaint);
  return found;
}

std::array<Rate, 2> rates_between(const Channel& before, const Channel& now,
                                  std::chrono::duration<double> time) {
  return {rate_of(before.control.direction[0], now.control.direction[0], time.count()),
          rate_of(before.control.direction[1], now.control.direction[1], time.count())};
}

std::vector<LookedAt> look(const Filter& filter, std::chrono::milliseconds interval) {
  portolan::inspect::Channels found = find_channels(filter.core);
  const Clock::time_point first_look = Clock::now();
  std::vector<LookedAt> looked;
  for (Channel& channel : found.channels) looked.push_back({std::move(channel), std::nullopt});
  if (interval.count() > 0 && filter.core.empty()) {
    std::this_thread::sleep_for(interval);
    look_again(looked, Clock::now() - first_look);
  }
  std::erase_if(looked, [&](const LookedAt& one) { return !passes(one.channel, filter); });
  return looked;
}

void look_again(std::vector<LookedAt>& channels, std::chrono::duration<double> since_last) {
  std::erase_if(channels, [since_last](LookedAt& one) {
    const auto before = one.channel.control.direction;
    if (!portolan::inspect::look_again(one.channel)) return true;
    const auto& now = one.channel.control.direction;
    one.rate = {rate_of(before[0], now[0], since_last.count()),
                rate_of(before[1], now[1], since_last.count())};
    return false;
  });
}

Channel find_channel(const std::string& name, const std::string& core) {
  portolan::inspect::Channels found = core.empty() ? portolan::inspect::find_channels() : find_channels(core);
  std::vector<Channel*> matches;
  for (Channel& channel : found.channels)
    if (to_text(channel.control.id).starts_with(name) || channel.control.label == name)
      matches.push_back(&channel);
  if (name.empty() || matches.empty())
    throw NothingFound(fmt::format("no channel with the id or label \"{}\"; portolan ls lists them", name));
  if (matches.size() > 1)
    throw std::runtime_error(fmt::format(
        "{} channels have an id or label that is \"{}\"; give more of the id", matches.size(), name));
  return std::move(*matches.front());
}

char letter_of(Side side) noexcept {
  return side == Side::a ? 'A' : 'B';
}

std::string end_text(const Channel& channel, Side side) {
  const Holder* const holder = channel.holder(side);
  const EndPlace place = channel.end[index(side)].place;
  if (place == EndPlace::elsewhere)
    return fmt::format("pid {} (not in this core)", channel.control.end[index(side)].owner_pid);
  if (holder == nullptr) return std::string(name_of(place));
  const std::string who = fmt::format("{}[{}]", holder->name, holder->pid);
  return place == EndPlace::held ? who + " (held)" : who;
}

std::string waits_text(const Channel& channel) {
  std::string text;
  const auto add = [&text](std::string_view waits) {
    if (!text.empty()) text += ", ";
    text += waits;
  };
  for (const Side side : kSides) {
    if (channel.waits_for_message(side))
      add(fmt::format("{} for {}", letter_of(side), letter_of(portolan::ring::other(side))));
    if (channel.waits_for_room(side)) add(fmt::format("{} for room", letter_of(side)));
  }
  return text;
}

}  // namespace command
