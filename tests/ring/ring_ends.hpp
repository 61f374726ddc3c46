// SPDX-License-Identifier: Apache-2.0

// Messages whose bytes tell which message they are, and the two ends that post and take them in tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "ring/reader.hpp"
#include "ring/writer.hpp"

namespace portolan::testing {

// Every eight bytes name the message and their place in it; the length follows from the caller.
constexpr std::uint64_t pattern_word(std::uint64_t message, std::uint64_t place) {
  return (message + 1) * 0x9e3779b97f4a7c15 + place * 0xff51afd7ed558ccd;
}

inline void write_pattern(std::byte* payload, std::uint64_t from_bytes, std::uint64_t bytes,
                          std::uint64_t message) {
  for (std::uint64_t at = from_bytes; at < bytes; ++at) {
    if (at % 8 == 0 && at + 8 <= bytes) {
      const std::uint64_t word = pattern_word(message, at / 8);
      std::memcpy(payload + at, &word, 8);
      at += 7;
    } else {
      payload[at] = static_cast<std::byte>(pattern_word(message, at / 8) >> at % 8 * 8);
    }
  }
}

inline bool has_pattern(const std::byte* payload, std::uint64_t bytes, std::uint64_t message) {
  std::uint64_t at = 0;
  for (; at + 8 <= bytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, payload + at, 8);
    if (word != pattern_word(message, at / 8)) return false;
  }
  for (; at < bytes; ++at)
    if (payload[at] != static_cast<std::byte>(pattern_word(message, at / 8) >> at % 8 * 8)) return false;
  return true;
}

inline ring::FrameHeader message_header(std::uint64_t bytes) {
  return ring::FrameHeader::message(static_cast<std::uint32_t>(bytes), 1, false, false);
}

// False: no room.
inline bool post(ring::Writer& writer, std::uint64_t bytes, std::uint64_t message) {
  std::byte* const room = writer.reserve(bytes);
  if (room == nullptr) return false;
  write_pattern(room, 0, bytes, message);
  writer.commit(message_header(bytes));
  return true;
}

// A message whose payload travels in a file of its own; `payload_bytes` of its frame, a multiple of 8, end
// with the file's size.
inline void commit_large_body(ring::Writer& writer, std::byte* room, std::uint64_t payload_bytes,
                              std::uint64_t body_bytes) {
  std::memcpy(room + payload_bytes - sizeof body_bytes, &body_bytes, sizeof body_bytes);
  writer.commit(ring::FrameHeader::message(static_cast<std::uint32_t>(payload_bytes), 1, true, true));
}
inline bool post_large_body(ring::Writer& writer, std::uint64_t body_bytes) {
  constexpr std::uint64_t kPayload = 64;
  std::byte* const room = writer.reserve(kPayload);
  if (room == nullptr) return false;
  commit_large_body(writer, room, kPayload, body_bytes);
  return true;
}

// The next frame that is a message; marks on the way are skipped, as a port does.
inline std::optional<ring::Reader::Frame> next_message(ring::Reader& reader) {
  ring::Reader::Frame frame;
  for (;;) {
    switch (reader.look(frame)) {
      case ring::Reader::Look::message:
        return frame;
      case ring::Reader::Look::mark:
        reader.skip_mark(frame);
        break;
      default:
        return std::nullopt;
    }
  }
}

inline void release(ring::Reader& reader, const ring::Reader::Frame& frame) {
  reader.release(*frame.extent, frame.sequence, frame.past_offset, frame.header.payload_bytes());
}

// Takes and releases; nullopt when there is none or when it is not `message`.
inline std::optional<ring::Reader::Frame> take_and_release(ring::Reader& reader, std::uint64_t message) {
  const auto frame = next_message(reader);
  if (!frame || !has_pattern(frame->payload, frame->header.payload_bytes(), message)) return std::nullopt;
  reader.take(*frame);
  release(reader, *frame);
  return frame;
}

}  // namespace portolan::testing
