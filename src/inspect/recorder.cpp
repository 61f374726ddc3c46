// SPDX-License-Identifier: Apache-2.0

#include "inspect/recorder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <span>
#include <utility>

#include "os/memory_file.hpp"
#include "ring/frame.hpp"

namespace portolan::inspect {
namespace {

using ring::FrameHeader;
using ring::Kind;
using ring::Run;

struct Frame {
  std::uint64_t at = 0;  // its header's place in the file
  FrameHeader header;
  std::uint64_t number = 0;
};

struct Walk {
  std::uint64_t count_before = 0;
  std::uint64_t messages = 0;
  std::deque<Frame> last;  // frames of messages
  std::optional<Run> jump;
  bool damaged = false;
};

// 4 GiB in all: extents that lead to each other a thousand times would else be read for hours.
constexpr std::uint32_t kMostFills = 65'536;

// One direction's memory, read through a window so that a frame costs no system call of its own.
class Memory {
 public:
  Memory(const FileDescriptor& file, const ControlSnapshot& control, ring::Side writer)
      : file_(file.get()), geometry_(control.geometry), writer_(writer) {}

  // Where the run's extent lies, and its end. One of an unknown length may go to the direction's end.
  std::pair<std::uint64_t, std::uint64_t> bounds(Run run) const noexcept {
    if (run == ring::kFirstExtent) {
      const std::uint64_t begin = offsetof(ring::ControlPage, direction) +
                                  static_cast<std::size_t>(writer_) * sizeof(ring::DirectionLines) +
                                  offsetof(ring::DirectionLines, first_extent);
      return {begin, begin + ring::kFirstExtentBytes};
    }
    const std::uint64_t begin = geometry_.direction_offset(writer_) + run.block * geometry_.block_bytes;
    return {begin, begin + run.count * geometry_.block_bytes};
  }
  bool inside(Run run) const noexcept {
    return run == ring::kFirstExtent ||
           (run.count != 0 && std::uint32_t{run.block} + run.count <= geometry_.block_count);
  }
  std::uint32_t block_count() const noexcept { return geometry_.block_count; }

  // 0 behind the end of the file.
  std::uint64_t word(std::uint64_t at) {
    if (at < window_at_ || at + 8 > window_at_ + window_bytes_) fill(at);
    std::uint64_t value = 0;
    if (at >= window_at_ && at + 8 <= window_at_ + window_bytes_)
      std::memcpy(&value, window_.data() + (at - window_at_), sizeof value);
    return value;
  }
  bool copy(std::uint64_t at, std::span<std::byte> into) const {
    return into.empty() || !os::read_at(file_, into, at);
  }
  // As it is now, and not in the window; 0 if it cannot be read.
  std::uint64_t word_now(std::uint64_t at) const {
    std::array<std::byte, 8> bytes{};
    std::uint64_t value = 0;
    if (copy(at, bytes)) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

 private:
  void fill(std::uint64_t at) {
    const std::uint64_t size = geometry_.segment_bytes();
    window_at_ = at;
    window_bytes_ = 0;
    if (fills_left_ == 0) return;  // every word is 0 from here on, so every walk ends
    --fills_left_;
    window_bytes_ = at < size ? std::min<std::uint64_t>(window_.size(), size - at) : 0;
    if (!copy(at, std::span(window_).first(window_bytes_))) window_bytes_ = 0;
  }

  int file_;
  ring::Geometry geometry_;
  ring::Side writer_;
  std::array<std::byte, 64 << 10> window_;
  std::uint64_t window_at_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint32_t fills_left_ = kMostFills;
};

// The frames of one extent, of which the last `most` are kept.
Walk walk(Memory& memory, Run run, std::size_t most) {
  const auto [begin, end] = memory.bounds(run);
  Walk walked;
  walked.count_before = memory.word(begin);
  for (std::uint64_t at = begin + ring::kExtentHeadBytes; at + ring::kHeaderBytes <= end;) {
    const FrameHeader header(memory.word(at));
    if (header.kind() == Kind::nothing) return walked;
    walked.damaged = !header.known();
    if (walked.damaged) return walked;
    if (header.kind() == Kind::jump) {
      walked.jump = header.run();
      return walked;
    }
    // A JUMP always fits behind a frame.
    walked.damaged = header.frame_bytes() + ring::kHeaderBytes > end - at;
    if (walked.damaged) return walked;
    if (header.kind() == Kind::message) {
      walked.last.push_back({at, header, walked.count_before + ++walked.messages});
      if (walked.last.size() > most) walked.last.pop_front();
    }
    at += header.frame_bytes();
  }
  walked.damaged = true;
  return walked;
}

class Recorder {
 public:
  Recorder(Memory& memory, std::size_t most) : memory_(memory), most_(most) {}

  // From the extent at which the reader stands to where the writer is.
  void go_forward(Run from) {
    std::optional<Run> run = from;
    for (std::uint32_t visits = 0; run && visits <= memory_.block_count(); ++visits) {
      if (!memory_.inside(*run)) {
        damaged_ = true;
        return;
      }
      Walk walked = walk(memory_, *run, most_);
      if (visits == 0) first_count_ = walked.count_before;
      damaged_ = damaged_ || walked.damaged;
      frames_.insert(frames_.end(), walked.last.begin(), walked.last.end());
      while (frames_.size() > most_) frames_.pop_front();
      run = walked.jump;
    }
  }

  // What was handed back and not overwritten: an extent whose JUMP leads to the oldest one known, and whose
  // count goes on there.
  void go_back(Run from) {
    Run known = from;
    for (std::uint32_t visits = 0; frames_.size() < most_ && visits <= memory_.block_count(); ++visits) {
      const std::optional<Run> before = find_before(known);
      if (!before) return;
      known = *before;
    }
  }

  std::deque<Frame>& frames() noexcept { return frames_; }
  bool damaged() const noexcept { return damaged_; }

 private:
  std::optional<Run> find_before(Run known) {
    for (std::uint32_t block = 0; block <= memory_.block_count(); ++block) {
      const bool first_extent = block == memory_.block_count();
      const Run candidate = first_extent ? ring::kFirstExtent
                                         : Run{static_cast<std::uint16_t>(block),
                                               static_cast<std::uint16_t>(memory_.block_count() - block)};
      Walk walked = walk(memory_, candidate, most_ - frames_.size());
      const bool goes_on = walked.jump == known && walked.messages > 0 &&
                           walked.count_before + walked.messages == first_count_;
      if (!goes_on) continue;
      frames_.insert(frames_.begin(), walked.last.begin(), walked.last.end());
      first_count_ = walked.count_before;
      // Its length is known to nobody any more; the JUMPs to it say it. Only its block counts here.
      return first_extent ? std::nullopt : jump_to(block);
    }
    return std::nullopt;
  }

  // The JUMP that once led to this block, whatever length it named: found by looking at all extents again.
  std::optional<Run> jump_to(std::uint32_t block) {
    for (std::uint32_t other = 0; other <= memory_.block_count(); ++other) {
      const Run candidate = other == memory_.block_count()
                                ? ring::kFirstExtent
                                : Run{static_cast<std::uint16_t>(other),
                                      static_cast<std::uint16_t>(memory_.block_count() - other)};
      const Walk walked = walk(memory_, candidate, 0);
      if (walked.jump && walked.jump->block == block && walked.jump->count != 0 &&
          walked.count_before + walked.messages == first_count_)
        return walked.jump;
    }
    return std::nullopt;
  }

  Memory& memory_;
  std::size_t most_;
  std::deque<Frame> frames_;
  std::uint64_t first_count_ = 0;
  bool damaged_ = false;
};

// What stands in front of a reply's body: the number of what it answers, counted from 0.
constexpr std::uint64_t kReplyHeadBytes = 8;

// Empty if it was overwritten meanwhile.
std::optional<RecordedMessage> copy_message(Memory& memory, const Frame& frame, std::size_t most_bytes,
                                            std::uint64_t read_messages) {
  const std::uint64_t payload = frame.at + ring::kHeaderBytes;
  const std::uint64_t payload_bytes = frame.header.payload_bytes();
  RecordedMessage message{.number = frame.number,
                          .format = frame.header.format(),
                          .attachments = frame.header.attachments(),
                          .request = frame.header.is_request(),
                          .reply_to = {},
                          .read = frame.number <= read_messages,
                          .body_bytes = payload_bytes,
                          .in_own_file = frame.header.large_body(),
                          .body = {}};
  const bool reply = frame.header.is_reply() && payload_bytes >= kReplyHeadBytes;
  const std::uint64_t head_bytes = reply ? kReplyHeadBytes : 0;
  if (reply) message.reply_to = memory.word_now(payload) + 1;
  std::uint64_t stated_bytes = payload_bytes;
  if ((message.attachments || message.in_own_file) && payload_bytes >= 8)
    stated_bytes = memory.word_now(payload + ring::round_up_8(payload_bytes) - 8);
  message.body_bytes = message.in_own_file
                           ? stated_bytes
                           : std::max(std::min(stated_bytes, payload_bytes), head_bytes) - head_bytes;
  if (!message.in_own_file) {
    message.body.resize(static_cast<std::size_t>(std::min<std::uint64_t>(message.body_bytes, most_bytes)));
    if (!memory.copy(payload + head_bytes, message.body)) return std::nullopt;
  }
  if (memory.word_now(frame.at) != frame.header.word()) return std::nullopt;
  return message;
}

}  // namespace

Recording record(const FileDescriptor& file, const ControlSnapshot& control, ring::Side writer,
                 RecordingLimits limits) {
  Recording recording;
  if (limits.messages == 0) return recording;
  Memory memory(file, control, writer);
  const DirectionSnapshot& direction = control.direction[static_cast<std::size_t>(writer)];
  const Run start = ring::Location(direction.cursor_place).run();
  Recorder recorder(memory, limits.messages);
  recorder.go_forward(start);
  if (memory.inside(start)) recorder.go_back(start);
  recording.damaged = recorder.damaged();
  for (const Frame& frame : recorder.frames()) {
    if (frame.number <= limits.after) continue;
    if (auto message = copy_message(memory, frame, limits.body_bytes, direction.read_messages))
      recording.messages.push_back(std::move(*message));
  }
  return recording;
}

}  // namespace portolan::inspect
