// SPDX-License-Identifier: Apache-2.0

// Talking through a port by hand: lines of stdin are posted, messages become lines of stdout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <portolan/file_descriptor.hpp>
#include <portolan/message_port.hpp>

namespace command {

/// Lines of stdin, without their ends. It is read only when there is somebody to post to.
class InputLines {
 public:
  /// The line at hand, if a whole one (or the last one) was read.
  [[nodiscard]] const std::string* line() const noexcept { return line_ ? &*line_ : nullptr; }
  /// The line at hand was posted.
  void next();
  /// Reads what is there, once; it blocks if there is nothing.
  void read();
  /// Nothing is left to be read, and no line is at hand.
  [[nodiscard]] bool ended() const noexcept { return ended_ && !line_; }
  [[nodiscard]] bool wants_more() const noexcept { return !ended_ && !line_; }

 private:
  std::string unsplit_;
  std::optional<std::string> line_;
  bool ended_ = false;
};

/// SIGINT and SIGTERM as something to be waited for.
class Interruption {
 public:
  Interruption();
  [[nodiscard]] int descriptor() const noexcept { return signals_.get(); }

 private:
  portolan::FileDescriptor signals_;
};

enum class Outcome : std::uint8_t {
  all_read,     // stdin has ended, and the other side has read all of it
  ended_early,  // the other side has ended before
  interrupted,
};

struct Manners {
  bool leave_when_all_read = false;  // else only the other side, or an interruption, ends it
  bool answer_is_enough = false;     // one message ends it as if all were read
};

/// Talks until there is an outcome; `why` says of one that came early how the other side ended.
[[nodiscard]] Outcome converse(portolan::MessagePort& port, InputLines& input,
                               const Interruption& interruption, Manners manners, std::string& why);

/// What the other side has not read yet of what was posted on `port`, also once the channel is closed: read
/// from its memory.
class UnreadCount {
 public:
  explicit UnreadCount(const portolan::MessagePort& port);
  /// Nothing if it cannot be known.
  [[nodiscard]] std::optional<std::uint64_t> messages() const;

 private:
  portolan::FileDescriptor segment_;
  bool second_side_ = false;
};

}  // namespace command
