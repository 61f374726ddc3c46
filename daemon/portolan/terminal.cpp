// SPDX-License-Identifier: Apache-2.0

#include "terminal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "screen.hpp"

namespace command {
namespace {

constexpr std::string_view kEnter = "\033[?1049h\033[?25l\033[2J";  // another screen, no cursor
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";

// The first key of those that were pressed, which is taken off them.
Pressed take_key(std::string& bytes) {
  constexpr std::array<std::pair<std::string_view, Key>, 10> kKnown{{
      {"\033[A", Key::up},
      {"\033OA", Key::up},
      {"\033[B", Key::down},
      {"\033OB", Key::down},
      {"\033[5~", Key::page_up},
      {"\033[6~", Key::page_down},
      {"\033[H", Key::home},
      {"\033[1~", Key::home},
      {"\033[F", Key::end},
      {"\033[4~", Key::end},
  }};
  for (const auto& [sequence, key] : kKnown) {
    if (!bytes.starts_with(sequence)) continue;
    bytes.erase(0, sequence.size());
    return {key, '\0'};
  }
  const char letter = bytes.front();
  // Where an unknown sequence ends is not known either.
  bytes.erase(0, letter == '\033' ? std::string::npos : 1);
  return {Key::other, letter == '\033' ? '\0' : letter};
}

}  // namespace

Terminal::Terminal() {
  if (::isatty(STDOUT_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &before_) != 0)
    throw std::system_error(ENOTTY, std::generic_category(), "no terminal");
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
    throw std::system_error(errno, std::generic_category(), "tcsetattr");
  // A resize ends the wait for a key, so that the next look is drawn for the new size at once.
  struct sigaction resized {};
  resized.sa_handler = [](int) {};
  ::sigaction(SIGWINCH, &resized, nullptr);
  print(kEnter);
}

Terminal::~Terminal() {
  try {
    print(kLeave);
  } catch (const std::exception&) {  // nobody is there to see it
  }
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

Terminal::Size Terminal::size() const noexcept {
  winsize found{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0) return {};
  return {found.ws_col, found.ws_row};
}

void Terminal::show(const std::string& lines) {
  const Size screen = size();
  std::string text = "\033[H";
  std::size_t row = 0;
  for (std::size_t begin = 0; begin < lines.size() && row < screen.rows; ++row) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    if (row > 0) text += "\r\n";
    text += cut_to(std::string_view(lines).substr(begin, end - begin), screen.columns) + "\033[K";
    begin = end + 1;
  }
  print(text + "\033[J");
}

std::optional<Pressed> Terminal::key(std::chrono::milliseconds patience) {
  if (!unread_.empty()) return take_key(unread_);
  pollfd asked[] = {{STDIN_FILENO, POLLIN, 0}, {interruption_.descriptor(), POLLIN, 0}};
  if (::poll(asked, 2, static_cast<int>(patience.count())) <= 0) return std::nullopt;
  if (asked[1].revents != 0) return Pressed{Key::other, 'q'};
  std::array<char, 16> bytes;
  const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  // The terminal is gone: as if somebody had left.
  if (got <= 0) return Pressed{Key::other, 'q'};
  unread_.assign(bytes.data(), static_cast<std::size_t>(got));
  return take_key(unread_);
}

}  // namespace command
