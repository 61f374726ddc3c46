// SPDX-License-Identifier: Apache-2.0

#include "conversation.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <portolan/close_event.hpp>
#include <portolan/error.hpp>
#include <portolan/message_event.hpp>
#include <portolan/port_handle.hpp>

#include "inspect/control_snapshot.hpp"
#include "message_text.hpp"
#include "screen.hpp"

namespace command {
namespace {

using portolan::CloseReason;
using portolan::PostResult;

// Nobody tells when the other side has read something: how often that is looked at, once stdin has ended.
constexpr int kReadCheckMilliseconds = 5;

struct State {
  bool closed = false;
  bool full = false;  // no room; a drain event will tell
  bool answered = false;
  CloseReason reason = CloseReason::closed;
};

void listen_to(portolan::MessagePort& port, State& state) {
  port.on_message([&state](portolan::MessageEvent& event) {
    print(message_text(event.format(), event.bytes()) + "\n");
    state.answered = true;
  });
  port.on_message_error([](portolan::MessageEvent& event) {
    fmt::print(stderr, "portolan: a message could not be read: {}\n", event.what());
  });
  port.on_close([&state](portolan::CloseEvent& event) {
    state.closed = true;
    state.reason = event.reason();
  });
  port.on_drain([&state](portolan::Event&) { state.full = false; });
}

void post_lines(portolan::MessagePort& port, InputLines& input, State& state) {
  while (!state.full && !state.closed && input.line() != nullptr) {
    switch (port.try_post_message(std::string_view(*input.line()))) {
      case PostResult::posted:
        input.next();
        break;
      case PostResult::full:
      case PostResult::timed_out:
        state.full = true;
        break;
      case PostResult::closed:
      case PostResult::detached:
        return;  // the line stays at hand, and the close event is on its way
    }
  }
}

bool all_read(const InputLines& input, const UnreadCount& unread) {
  return input.ended() && unread.messages() == std::uint64_t{0};
}

}  // namespace

void InputLines::next() {
  line_.reset();
  const std::size_t end = unsplit_.find('\n');
  if (end != std::string::npos) {
    line_ = unsplit_.substr(0, end);
    unsplit_.erase(0, end + 1);
  } else if (ended_ && !unsplit_.empty()) {
    line_ = std::exchange(unsplit_, {});
  }
}

void InputLines::read() {
  std::array<char, 64 << 10> piece;
  const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0)
    ended_ = true;
  else
    unsplit_.append(piece.data(), static_cast<std::size_t>(got));
  if (!line_) next();
}

Interruption::Interruption() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throw std::system_error(errno, std::generic_category(), "signalfd");
}

UnreadCount::UnreadCount(const portolan::MessagePort& port) {
  try {
    portolan::PortHandle handle = port.custody_handle();
    // For reading only, so that nobody who looks takes it for an end.
    const std::string path = fmt::format("/proc/self/fd/{}", handle.segment().get());
    segment_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    second_side_ = handle.second_side();
  } catch (const portolan::InvalidStateError&) {  // closed already: nothing will be posted either
  }
}

std::optional<std::uint64_t> UnreadCount::messages() const {
  using namespace portolan;
  std::array<std::byte, ring::kControlBytes> page;
  struct stat about {};
  inspect::ControlSnapshot snapshot;
  if (!segment_ || ::fstat(segment_.get(), &about) != 0) return std::nullopt;
  if (::pread(segment_.get(), page.data(), page.size(), 0) != static_cast<ssize_t>(page.size()))
    return std::nullopt;
  if (!inspect::read_control(page, static_cast<std::uint64_t>(about.st_size), snapshot).empty())
    return std::nullopt;
  return snapshot.direction[second_side_ ? 1 : 0].unread_messages();
}

Outcome converse(portolan::MessagePort& port, InputLines& input, const Interruption& interruption,
                 Manners manners, std::string& why) {
  State state;
  const int handle = port.native_handle();
  const UnreadCount unread(port);
  listen_to(port, state);
  for (;;) {
    post_lines(port, input, state);
    const bool leaves = manners.leave_when_all_read && all_read(input, unread);
    if (leaves || state.closed) port.dispatch();  // what has come meanwhile is printed as well
    if (leaves || (manners.answer_is_enough && state.answered)) return Outcome::all_read;
    if (state.closed) {
      why = portolan::to_string(state.reason);
      return Outcome::ended_early;
    }
    const bool reads = input.wants_more() && !state.full;
    std::array<pollfd, 3> waits{pollfd{handle, POLLIN, 0}, pollfd{interruption.descriptor(), POLLIN, 0},
                                pollfd{reads ? STDIN_FILENO : -1, POLLIN, 0}};
    const bool looks = manners.leave_when_all_read && input.ended();
    if (::poll(waits.data(), waits.size(), looks ? kReadCheckMilliseconds : -1) < 0 && errno != EINTR)
      throw std::system_error(errno, std::generic_category(), "poll");
    if (waits[1].revents != 0) return Outcome::interrupted;
    if (waits[0].revents != 0) port.dispatch();
    if (waits[2].revents != 0) input.read();
  }
}

}  // namespace command
