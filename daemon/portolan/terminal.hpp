// SPDX-License-Identifier: Apache-2.0

// The whole screen of a terminal, for a view that is drawn again and again; it is as it was before when this
// ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <termios.h>

#include "conversation.hpp"

namespace command {

enum class Key : std::uint8_t { up, down, page_up, page_down, home, end, other };

struct Pressed {
  Key key = Key::other;
  char letter = '\0';  // of another key
};

class Terminal {
 public:
  /// Throws std::system_error if stdin or stdout is none.
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };
  [[nodiscard]] Size size() const noexcept;

  /// Replaces what is shown by these lines, cut to the screen.
  void show(const std::string& lines);
  /// The next key; nothing if none was pressed in time, or if the size has changed. SIGINT, SIGTERM and the
  /// terminal's end are a 'q'.
  [[nodiscard]] std::optional<Pressed> key(std::chrono::milliseconds patience);

 private:
  Interruption interruption_;
  std::string unread_;  // keys that were pressed before the last one was asked for
  termios before_{};
};

}  // namespace command
