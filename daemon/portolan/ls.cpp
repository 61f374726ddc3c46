// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include "exit_code.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

using portolan::inspect::EndPlace;

std::string end_cell(const Channel& channel, Side side) {
  const EndPlace place = channel.end[index(side)].place;
  Tone tone = Tone::plain;
  if (place == EndPlace::gone) tone = Tone::bad;
  if (place == EndPlace::in_transit) tone = Tone::warning;
  if (place == EndPlace::closed || place == EndPlace::held) tone = Tone::faint;
  return toned(end_text(channel, side), tone);
}

std::string unread_cell(const portolan::inspect::DirectionSnapshot& direction) {
  const std::uint64_t messages = direction.unread_messages();
  if (messages == 0) return toned("-", Tone::faint);
  return toned(fmt::format("{} ({})", messages, bytes_text(direction.unread_bytes())), Tone::warning);
}

std::string rate_cell(const LookedAt& one, Side writer) {
  if (!one.rate || (*one.rate)[index(writer)].messages < 0.05) return toned("-", Tone::faint);
  return count_text((*one.rate)[index(writer)].messages);
}

}  // namespace

int list_channels(const LsOptions& options) {
  const std::vector<LookedAt> found = look(options.filter, options.interval);
  if (options.json) {
    JsonArray all;
    for (const LookedAt& one : found) all.add(channel_json(one));
    print(all.str() + "\n");
    return found.empty() ? kNothing : kFound;
  }
  using enum Table::Align;
  Table table({{"ID", left},
               {"LABEL", left},
               {"A", left},
               {"B", left},
               {"UNREAD A>B", right},
               {"UNREAD B>A", right},
               {"A>B/s", right},
               {"B>A/s", right},
               {"MEMORY", right},
               {"WAITS", left}});
  for (const LookedAt& one : found) {
    const Channel& channel = one.channel;
    table.add({to_text(channel.control.id).substr(0, 8), channel.control.label, end_cell(channel, Side::a),
               end_cell(channel, Side::b), unread_cell(channel.control.direction[0]),
               unread_cell(channel.control.direction[1]), rate_cell(one, Side::a), rate_cell(one, Side::b),
               bytes_text(channel.memory_bytes), waits_text(channel)});
  }
  if (!found.empty()) print(table.str());
  return found.empty() ? kNothing : kFound;
}

}  // namespace command
