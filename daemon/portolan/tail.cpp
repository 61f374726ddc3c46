// SPDX-License-Identifier: Apache-2.0

// tail and dump: the last messages of a channel, decoded as far as their format tells.
#include <cstring>
#include <fmt/core.h>
#include <string_view>
#include <thread>

#include <portolan/encoding.hpp>

#include "exit_code.hpp"
#include "inspect/recorder.hpp"
#include "json_text.hpp"
#include "message_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

using portolan::inspect::ControlSnapshot;
using portolan::inspect::RecordedMessage;
using portolan::inspect::Recording;

// A value begins with an encoding's byte and the fingerprint of its type.
constexpr std::size_t kValueHeadBytes = 5;
constexpr std::chrono::milliseconds kFollowInterval{200};

// Of a value, the name that either side has told for its fingerprint, or that.
std::string type_text(const RecordedMessage& message, const ControlSnapshot& control) {
  if (message.format != static_cast<unsigned>(portolan::Format::value) ||
      message.body.size() < kValueHeadBytes)
    return {};
  std::uint32_t fingerprint = 0;
  std::memcpy(&fingerprint, message.body.data() + 1, sizeof fingerprint);
  for (const auto& direction : control.direction)
    for (const auto& type : direction.type_names)
      if (type.fingerprint == fingerprint) return type.name;
  return fmt::format("0x{:08x}", fingerprint);
}

std::string body_text(const RecordedMessage& message) {
  if (message.in_own_file) return "(in a file of its own)";
  // What was cut is no whole item, number or value.
  const bool whole = message.body.size() == message.body_bytes;
  const auto format = static_cast<portolan::Format>(message.format);
  const bool flat = format == portolan::Format::text || format == portolan::Format::bytes;
  return message_text(whole || flat ? format : portolan::Format::plain, message.body) + (whole ? "" : "...");
}

std::string message_json(const RecordedMessage& message, const ControlSnapshot& control, Side writer) {
  JsonObject json;
  json.text("from", std::string(1, letter_of(writer))).number("number", message.number);
  json.text("format", portolan::name_of(static_cast<portolan::Format>(message.format)));
  if (const std::string type = type_text(message, control); !type.empty()) json.text("type", type);
  if (message.request) json.flag("request", true);
  if (message.reply_to) json.number("reply_to", *message.reply_to);
  json.number("bytes", message.body_bytes)
      .flag("read", message.read)
      .flag("attachments", message.attachments);
  return json.flag("whole", message.body.size() == message.body_bytes).text("text", body_text(message)).str();
}

std::string message_line(const RecordedMessage& message, const ControlSnapshot& control, Side writer) {
  std::string format(portolan::name_of(static_cast<portolan::Format>(message.format)));
  if (const std::string type = type_text(message, control); !type.empty()) format += " " + type;
  if (message.request) format += ", request";
  if (message.reply_to) format += fmt::format(", reply to {}", *message.reply_to);
  const std::string head =
      fmt::format("{}>{} {:>6} {:<6} {:>8}  {}", letter_of(writer), letter_of(portolan::ring::other(writer)),
                  message.number, message.read ? "read" : "unread", bytes_text(message.body_bytes), format);
  return toned(head, message.read ? Tone::faint : Tone::plain) + (message.attachments ? " +attached" : "") +
         "  " + body_text(message);
}

}  // namespace

int show_messages(const TailOptions& options) {
  Channel channel = find_channel(options.channel, options.core);
  std::array<std::uint64_t, 2> shown{};
  bool any = false;
  for (;;) {
    std::string text;
    for (const Side writer : kSides) {
      if (!options.from.empty() && options.from.front() != letter_of(writer)) continue;
      const Recording recording = record(channel.segment.file, channel.control, writer,
                                         {options.most_messages, options.most_bytes, shown[index(writer)]});
      for (const RecordedMessage& message : recording.messages) {
        shown[index(writer)] = message.number;
        text += options.json ? message_json(message, channel.control, writer)
                             : message_line(message, channel.control, writer);
        text += '\n';
      }
      if (recording.damaged && !options.follow)
        fmt::print(
            stderr,
            "portolan: what follows in direction {} is no frame: overwritten while it was read, or damaged\n",
            letter_of(writer));
    }
    any = any || !text.empty();
    print(text);
    if (!options.follow || !options.core.empty()) break;
    std::this_thread::sleep_for(kFollowInterval);
    if (!portolan::inspect::look_again(channel)) break;
  }
  return any ? kFound : kNothing;
}

}  // namespace command
