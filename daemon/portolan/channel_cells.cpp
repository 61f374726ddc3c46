// SPDX-License-Identifier: Apache-2.0

#include "channel_cells.hpp"

#include <fmt/core.h>

#include "screen.hpp"

namespace command {

using portolan::inspect::EndPlace;

std::string id_cell(const Channel& channel) {
  return to_text(channel.control.id).substr(0, 8);
}

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

}  // namespace command
