// SPDX-License-Identifier: Apache-2.0

#include "followed.hpp"

#include <algorithm>
#include <utility>

namespace command {
namespace {

constexpr std::size_t kMostSeen = 512;

std::array<std::uint64_t, 2> posted_of(const Channel& channel) noexcept {
  return {channel.control.direction[0].posted_messages, channel.control.direction[1].posted_messages};
}

}  // namespace

double Followed::Line::rate() const noexcept {
  return looked.rate ? (*looked.rate)[0].messages + (*looked.rate)[1].messages : 0;
}

std::uint64_t Followed::Line::unread() const noexcept {
  const auto& direction = looked.channel.control.direction;
  return direction[0].unread_messages() + direction[1].unread_messages();
}

double Followed::Line::longest_wait() const noexcept {
  return std::max(oldest[0].value_or(-1), oldest[1].value_or(-1));
}

void Followed::look(const Filter& filter) {
  portolan::inspect::Channels found = find_channels(filter.core);
  const Clock::time_point now = Clock::now();
  std::map<std::string, Past> present;
  for (Channel& channel : found.channels)
    if (passes(channel, filter)) add(std::move(channel), now, present);
  lines_ = std::move(present);
}

void Followed::add(Channel channel, Clock::time_point now, std::map<std::string, Past>& present) {
  std::string id = to_text(channel.control.id);
  Past past;
  if (const auto known = lines_.find(id); known != lines_.end()) past = std::move(known->second);
  Line& line = past.line;
  if (!past.seen.empty()) {
    const std::chrono::duration<double> since = now - past.seen.back().when;
    line.looked.rate = rates_between(line.looked.channel, channel, since);
    line.history.push_back(line.rate());
    if (line.history.size() > kHistory) line.history.pop_front();
  }
  past.seen.push_back({now, posted_of(channel)});
  if (past.seen.size() > kMostSeen) past.seen.pop_front();
  for (const Side writer : kSides) {
    const auto& direction = channel.control.direction[index(writer)];
    auto& oldest = line.oldest[index(writer)];
    oldest.reset();
    if (direction.unread_messages() == 0) continue;
    const std::uint64_t next = direction.posted_messages - direction.unread_messages() + 1;
    const auto first = std::find_if(past.seen.begin(), past.seen.end(),
                                    [&](const Seen& seen) { return seen.posted[index(writer)] >= next; });
    oldest = std::chrono::duration<double>(now - first->when).count();
  }
  line.looked.channel = std::move(channel);
  present.emplace(std::move(id), std::move(past));
}

std::vector<const Followed::Line*> Followed::sorted(SortBy by) const {
  std::vector<const Line*> lines;
  for (const auto& [id, past] : lines_) lines.push_back(&past.line);
  const auto amount = [by](const Line& line) -> double {
    switch (by) {
      case SortBy::rate:
        return line.rate();
      case SortBy::unread:
        return static_cast<double>(line.unread());
      case SortBy::oldest:
        return line.longest_wait();
      case SortBy::memory:
        return static_cast<double>(line.looked.channel.memory_bytes);
      case SortBy::label:
        break;
    }
    return 0;
  };
  // Equal ones stay in one order, so that lines do not dance.
  std::stable_sort(lines.begin(), lines.end(), [&](const Line* a, const Line* b) {
    const double left = amount(*a), right = amount(*b);
    if (left != right) return left > right;
    return a->looked.channel.control.label < b->looked.channel.control.label;
  });
  return lines;
}

std::string sparkline(const std::deque<double>& rates) {
  static constexpr const char* kLetters[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                             "\u2585", "\u2586", "\u2587", "\u2588"};
  const double most = rates.empty() ? 0 : *std::max_element(rates.begin(), rates.end());
  std::string text(Followed::kHistory - std::min(rates.size(), Followed::kHistory), ' ');
  for (const double rate : rates) {
    const double part = most > 0 ? rate / most : 0;
    text += rate <= 0 ? " " : kLetters[std::min<std::size_t>(static_cast<std::size_t>(part * 8), 7)];
  }
  return text;
}

}  // namespace command
