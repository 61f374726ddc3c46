// SPDX-License-Identifier: Apache-2.0

// A channel as JSON: the members are a part of the command's interface, docs/command.md lists them.
#include <fmt/core.h>

#include "json_text.hpp"
#include "looking.hpp"

namespace command {
namespace {

using portolan::inspect::DirectionSnapshot;
using portolan::inspect::EndSnapshot;
using portolan::inspect::Holder;

std::string end_json(const Channel& channel, Side side) {
  const EndSnapshot& end = channel.control.end[index(side)];
  const Holder* const holder = channel.holder(side);
  JsonObject json;
  json.text("place", name_of(channel.end[index(side)].place));
  if (holder != nullptr)
    json.number("pid", holder->pid).text("process", holder->name).number("uid", holder->uid);
  json.number("generation", end.generation).number("adoptions", end.adoption_count);
  json.number("owner_pid", end.owner_pid).number("closed", end.closed);
  json.flag("waits_for_message", channel.waits_for_message(side));
  json.flag("waits_for_room", channel.waits_for_room(side));
  return json.str();
}

std::string direction_json(const DirectionSnapshot& direction, const Rate* rate) {
  JsonObject json;
  json.number("unread_messages", direction.unread_messages());
  json.number("unread_bytes", direction.unread_bytes());
  json.number("unread_transfers", direction.unread_transfers());
  if (rate != nullptr)
    json.raw("messages_per_second", fmt::format("{:.1f}", rate->messages))
        .raw("bytes_per_second", fmt::format("{:.1f}", rate->bytes));
  json.number("posted_messages", direction.posted_messages);
  json.number("posted_bytes", direction.posted_bytes);
  json.number("posted_large_bytes", direction.posted_large_bytes);
  json.number("handed_messages", direction.handed_messages);
  json.number("read_messages", direction.read_messages);
  json.number("read_bytes", direction.read_bytes);
  json.number("read_large_bytes", direction.read_large_bytes);
  json.number("announced_transfers", direction.announced_transfers);
  json.number("taken_transfers", direction.taken_transfers);
  json.number("hand_backs", direction.hand_backs);
  json.number("blocks_taken", direction.blocks_taken);
  json.flag("writer_fences", direction.writer_fences);
  JsonArray types;
  for (const auto& type : direction.type_names) types.add(json_quoted(type.name));
  return json.raw("types", types.str()).str();
}

}  // namespace

std::string channel_json(const LookedAt& looked) {
  const Channel& channel = looked.channel;
  const auto& control = channel.control;
  JsonObject json;
  json.text("id", to_text(control.id)).text("label", control.label);
  json.text("trust", control.foreign ? "foreign" : "same_user").number("creator_pid", control.creator_pid);
  json.number("limit_bytes", control.limit_bytes).number("segment_bytes", control.segment_bytes);
  json.number("block_bytes", control.geometry.block_bytes)
      .number("block_count", control.geometry.block_count);
  json.number("memory_bytes", channel.memory_bytes);
  json.raw("a", end_json(channel, Side::a)).raw("b", end_json(channel, Side::b));
  json.raw("a_to_b", direction_json(control.direction[0], looked.rate ? &(*looked.rate)[0] : nullptr));
  json.raw("b_to_a", direction_json(control.direction[1], looked.rate ? &(*looked.rate)[1] : nullptr));
  JsonArray holders;
  for (const Holder& holder : channel.segment.holders)
    holders.add(JsonObject()
                    .number("pid", holder.pid)
                    .text("process", holder.name)
                    .number("uid", holder.uid)
                    .number("descriptors", holder.descriptors)
                    .str());
  return json.raw("holders", holders.str()).str();
}

}  // namespace command
