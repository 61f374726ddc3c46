// SPDX-License-Identifier: Apache-2.0

// The last messages of a direction, as they still lie in the channel's memory: what was read stays there
// until it is overwritten. Everything is read with pread from memory that others write meanwhile, so every
// word is checked, every walk ends after one visit to each block, and what changed while it was copied is
// left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <portolan/file_descriptor.hpp>

#include "inspect/control_snapshot.hpp"

namespace portolan::inspect {

struct RecordedMessage {
  std::uint64_t number = 0;               // counted from 1 over all that this direction ever carried
  unsigned format = 0;                    // a portolan::Format, or what no library writes
  bool attachments = false;               // ports, buffers or descriptors came along
  bool request = false;                   // it wants a reply
  std::optional<std::uint64_t> reply_to;  // of a reply: the `number` that it answers, of the other direction
  bool read = false;                      // the reader has passed it
  std::uint64_t body_bytes = 0;
  bool in_own_file = false;     // then the body is not here
  std::vector<std::byte> body;  // as much of it as was asked for
};

struct Recording {
  std::vector<RecordedMessage> messages;  // the oldest first
  bool damaged = false;                   // a frame that no writer would have written ended the walk
};

struct RecordingLimits {
  std::size_t messages = 10;      // the last ones
  std::size_t body_bytes = 1024;  // of each
  std::uint64_t after = 0;        // only those with a higher number
};

/// What can be found of the direction that `writer` writes.
[[nodiscard]] Recording record(const FileDescriptor& file, const ControlSnapshot& control, ring::Side writer,
                               RecordingLimits limits);

}  // namespace portolan::inspect
