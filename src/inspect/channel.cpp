// SPDX-License-Identifier: Apache-2.0

#include "inspect/channel.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "os/memory_file.hpp"

namespace portolan::inspect {
namespace {

constexpr std::size_t index(ring::Side side) noexcept {
  return static_cast<std::size_t>(side);
}

std::string read_page(const FoundSegment& segment, ControlSnapshot& into) {
  std::array<std::byte, ring::kControlBytes> page;
  if (segment.file_bytes < page.size()) return "it is too small";
  if (const std::error_code error = os::read_at(segment.file.get(), page, 0))
    return "it cannot be read: " + error.message();
  return read_control(page, segment.file_bytes, into);
}

bool is_called(const Holder& holder, std::uint32_t pid) noexcept {
  return std::find(holder.pids.begin(), holder.pids.end(), pid) != holder.pids.end();
}

// The owner that the page names, if it is one of the holders.
std::optional<std::size_t> owner_of(const EndSnapshot& end, const std::vector<Holder>& holders) noexcept {
  for (std::size_t i = 0; i < holders.size(); ++i)
    if (is_called(holders[i], end.owner_pid)) return i;
  return std::nullopt;
}

}  // namespace

std::string_view name_of(EndPlace place) noexcept {
  switch (place) {
    case EndPlace::owned:
      return "owned";
    case EndPlace::held:
      return "held";
    case EndPlace::in_transit:
      return "in transit";
    case EndPlace::closed:
      return "closed";
    case EndPlace::gone:
      return "gone";
    case EndPlace::elsewhere:
      return "elsewhere";
  }
  return "unknown";
}

std::array<End, 2> locate_ends(const ControlSnapshot& control, const std::vector<Holder>& holders) {
  std::array<End, 2> ends;
  std::vector<std::uint32_t> spare;  // descriptors of each holder that no owned end explains
  spare.reserve(holders.size());
  for (const Holder& holder : holders) spare.push_back(holder.descriptors);
  for (std::size_t side = 0; side < 2; ++side) {
    const EndSnapshot& end = control.end[side];
    if (end.closed != 0) {
      ends[side].place = EndPlace::closed;
    } else if (!end.in_transit()) {
      ends[side].holder = owner_of(end, holders);
      if (ends[side].holder) ends[side].place = EndPlace::owned;
      if (ends[side].holder && spare[*ends[side].holder] > 0) --spare[*ends[side].holder];
    }
  }
  for (std::size_t side = 0; side < 2; ++side) {
    const EndSnapshot& end = control.end[side];
    if (end.closed != 0 || ends[side].place == EndPlace::owned) continue;
    const auto with_spare = std::find_if(spare.begin(), spare.end(), [](auto count) { return count > 0; });
    if (with_spare != spare.end()) {
      ends[side] = {EndPlace::held, static_cast<std::size_t>(with_spare - spare.begin())};
      --*with_spare;
    } else {
      ends[side].place = end.in_transit() ? EndPlace::in_transit : EndPlace::gone;
    }
  }
  return ends;
}

const Holder* Channel::holder(ring::Side side) const noexcept {
  const std::optional<std::size_t> at = end[index(side)].holder;
  return at ? &segment.holders[*at] : nullptr;
}

bool Channel::waits_for_message(ring::Side side) const noexcept {
  return end[index(side)].place == EndPlace::owned &&
         control.direction[index(ring::other(side))].reader_sleep != ring::SleepState::awake;
}

bool Channel::waits_for_room(ring::Side side) const noexcept {
  return end[index(side)].place == EndPlace::owned &&
         control.direction[index(side)].writer_sleep != ring::SleepState::awake;
}

Channels find_channels() {
  Search search = find_segments();
  Channels found;
  found.unreadable_processes = search.unreadable_processes;
  for (FoundSegment& segment : search.segments) {
    Channel channel;
    if (std::string fault = read_page(segment, channel.control); !fault.empty()) {
      found.unreadable.push_back("memory file " + std::to_string(segment.inode) + " of pid " +
                                 std::to_string(segment.holders.front().pid) + ": " + fault);
      continue;
    }
    channel.end = locate_ends(channel.control, segment.holders);
    channel.memory_bytes = memory_bytes(segment.file);
    channel.segment = std::move(segment);
    found.channels.push_back(std::move(channel));
  }
  std::sort(found.channels.begin(), found.channels.end(), [](const Channel& one, const Channel& two) {
    const auto key = [](const Channel& channel) {
      return std::tie(channel.control.label, channel.control.id.high, channel.control.id.low,
                      channel.segment.inode);
    };
    return key(one) < key(two);
  });
  return found;
}

bool look_again(Channel& channel) {
  ControlSnapshot now;
  if (!read_page(channel.segment, now).empty() || now.id != channel.control.id) return false;
  channel.control = std::move(now);
  channel.end = locate_ends(channel.control, channel.segment.holders);
  channel.memory_bytes = memory_bytes(channel.segment.file);
  return true;
}

}  // namespace portolan::inspect
