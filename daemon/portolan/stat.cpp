// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>
#include <thread>
#include <utility>

#include "exit_code.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

using portolan::inspect::DirectionSnapshot;
using portolan::inspect::Holder;
using portolan::inspect::Part;
using portolan::inspect::parts_with_memory;

std::string line(std::string_view name, const std::string& value) {
  return fmt::format("  {:<18}{}\n", name, value);
}

std::string end_lines(const Channel& channel, Side side) {
  const auto& end = channel.control.end[index(side)];
  std::string text = toned(fmt::format("end {}\n", letter_of(side)), Tone::strong);
  text += line("process", end_text(channel, side));
  text += line("generation", fmt::format("{}{}", end.generation, end.in_transit() ? " (on its way)" : ""));
  text += line("adoptions", fmt::format("{}, the last one by pid {}", end.adoption_count, end.owner_pid));
  if (channel.waits_for_message(side)) text += line("waits", "for a message");
  if (channel.waits_for_room(side)) text += line("waits", "for room");
  return text;
}

std::string type_list(const DirectionSnapshot& direction) {
  std::string text;
  for (const auto& type : direction.type_names) text += (text.empty() ? "" : ", ") + type.name;
  return text;
}

std::string direction_lines(const LookedAt& looked, Side writer) {
  const DirectionSnapshot& direction = looked.channel.control.direction[index(writer)];
  std::string text = toned(
      fmt::format("{} to {}\n", letter_of(writer), letter_of(portolan::ring::other(writer))), Tone::strong);
  const auto amount = [](std::uint64_t messages, std::uint64_t bytes) {
    return fmt::format("{} message{}, {} bytes", messages, messages == 1 ? "" : "s", bytes);
  };
  text += line("unread", amount(direction.unread_messages(), direction.unread_bytes()));
  text += line("posted", amount(direction.posted_messages, direction.posted_bytes));
  text += line("read", amount(direction.read_messages, direction.read_bytes));
  text += line("handed out", fmt::format("{} message{}", direction.handed_messages,
                                         direction.handed_messages == 1 ? "" : "s"));
  if (looked.rate) {
    const Rate& rate = (*looked.rate)[index(writer)];
    text += line("rate", fmt::format("{} messages/s, {}/s", count_text(rate.messages),
                                     bytes_text(static_cast<std::uint64_t>(rate.bytes))));
  }
  text += line("in large files", fmt::format("{} posted, {} let go", bytes_text(direction.posted_large_bytes),
                                             bytes_text(direction.read_large_bytes)));
  text += line("with ports", fmt::format("{} announced, {} taken", direction.announced_transfers,
                                         direction.taken_transfers));
  text += line("blocks", fmt::format("{} of {} taken, {} hand-backs", direction.blocks_taken,
                                     looked.channel.control.geometry.block_count, direction.hand_backs));
  text +=
      line("writer's fence", direction.writer_fences ? "each message" : "none, its reader fences for both");
  if (!direction.type_names.empty()) text += line("types told", type_list(direction));
  return text;
}

std::string memory_text(const Channel& channel) {
  constexpr std::size_t kMostParts = 8192;
  const std::vector<Part> parts = parts_with_memory(channel.segment.file, kMostParts);
  return fmt::format("{} of {} reserved, in {} part{}", bytes_text(channel.memory_bytes),
                     bytes_text(channel.control.segment_bytes), parts.size(), parts.size() == 1 ? "" : "s");
}

}  // namespace

int show_channel(const StatOptions& options) {
  std::vector<LookedAt> one;
  one.push_back({find_channel(options.channel, options.core), std::nullopt});
  if (options.interval.count() > 0 && options.core.empty()) {
    const auto first_look = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(options.interval);
    look_again(one, std::chrono::steady_clock::now() - first_look);
    if (one.empty()) return kNothing;
  }
  const LookedAt& looked = one.front();
  if (options.json) {
    print(channel_json(looked) + "\n");
    return kFound;
  }
  const auto& control = looked.channel.control;
  std::string text = toned("channel " + to_text(control.id) + "\n", Tone::strong);
  text += line("label", control.label.empty() ? "(none)" : control.label);
  text += line("trust", control.foreign ? "foreign" : "same user");
  text += line("made by", fmt::format("pid {}", control.creator_pid));
  text += line("limit", fmt::format("{} unread each way, in {} blocks of {}", bytes_text(control.limit_bytes),
                                    control.geometry.block_count, bytes_text(control.geometry.block_bytes)));
  text += line("memory", memory_text(looked.channel));
  for (const Holder& holder : looked.channel.segment.holders)
    text += line("descriptors", fmt::format("{} in {}[{}], uid {}", holder.descriptors, holder.name,
                                            holder.pid, holder.uid));
  for (const Side side : kSides) text += end_lines(looked.channel, side);
  for (const Side side : kSides) text += direction_lines(looked, side);
  print(text);
  return kFound;
}

}  // namespace command
