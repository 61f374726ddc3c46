// SPDX-License-Identifier: Apache-2.0

#include "names/watch_state.hpp"

#include <array>
#include <exception>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/reporting.hpp"

namespace portolan::names {

namespace {

constexpr std::uint64_t kDaemonTag = 0;
constexpr std::uint64_t kTimerTag = 1;
constexpr std::size_t kMostUntold = 1024;  // the link is not read beyond
constexpr std::int64_t kDelayNs = 50'000'000;
constexpr std::int64_t kConfirmNs = 2'000'000'000;

}  // namespace

WatchState::WatchState(std::string_view pattern)
    : pattern_(pattern), call_("NameWatch(\"" + pattern_ + "\")") {
  if (!wire::is_name_pattern(pattern))
    throw PortError(std::make_error_code(std::errc::invalid_argument),
                    call_ + ": this is no pattern of names; use letters, digits, ._- and *");
  if (const auto error = link_.open()) throw PortError(error, call_ + ": " + link_.explain(error));
  static_cast<void>(link_.call(call_, request(), {}, os::monotonic_ns() + kAnswerNs));
  for (const auto& [descriptor, tag] :
       {std::pair{link_.descriptor(), kDaemonTag}, {timer_.descriptor(), kTimerTag}})
    if (const auto error = epoll_.add(descriptor, os::kReadable, tag))
      throw PortError(error,
                      call_ + ": " + error.message() + "; raise fs.epoll.max_user_watches or free memory");
  enrol();
}

WatchState::~WatchState() {
  withdraw();
  close();
}

wire::NamePacket WatchState::request() const {
  wire::NamePacket packet;
  packet.kind = wire::NameKind::watch;
  packet.name = pattern_;
  return packet;
}

void WatchState::become_inert() noexcept {
  link_.close();
}

void WatchState::close() noexcept {
  if (!std::exchange(open_, false)) return;
  attachment_.detach();
  const port::NoForks no_forks;
  if (link_.is_open() && !os::forked_since(birth_)) epoll_.remove(link_.descriptor());
  link_.close();
}

std::optional<NameEvent> WatchState::next() {
  look();
  if (untold_.empty()) return std::nullopt;
  NameEvent event = std::move(untold_.front());
  untold_.pop_front();
  return event;
}

void WatchState::look() {
  const port::NoForks no_forks;
  while (untold_.size() < kMostUntold) {
    std::array<os::ReadyTag, 1> ready;
    if (epoll_.wait(ready, 0) == 0) return;
    if (ready[0].tag == kTimerTag) {
      timer_.clear();
      if (link_.is_open())
        tell_unconfirmed();
      else
        find_link();
      continue;
    }
    DaemonLink::Arrived arrived;
    const DaemonLink::Got got = link_.receive(arrived);
    if (got == DaemonLink::Got::packet && arrived.packet.kind == wire::NameKind::news) hear(arrived.packet);
    if (got == DaemonLink::Got::lost) lose_link();
  }
}

void WatchState::hear(const wire::NamePacket& packet) {
  Known& known = known_[packet.name];
  const bool here = packet.code != static_cast<std::uint32_t>(wire::NameNews::gone);
  const bool seen = known.generation != 0;
  if (here && known.here && known.generation == packet.generation) {
    known.confirmed = true;
    return;
  }
  known = {packet.generation, {packet.uid, packet.gid, packet.pid}, here, true};
  tell(!here ? NameNews::gone : seen ? NameNews::replaced : NameNews::appeared, packet.name, known);
}

void WatchState::tell(NameNews news, const std::string& name, const Known& known) {
  untold_.emplace_back(news, name, known.generation, known.owner);
}

void WatchState::tell_unconfirmed() {
  for (auto& [name, known] : known_) {
    if (!known.here || known.confirmed) continue;
    known.here = false;
    tell(NameNews::gone, name, known);
  }
}

void WatchState::lose_link() noexcept {
  epoll_.remove(link_.descriptor());
  link_.close();
  for (auto& [name, known] : known_) known.confirmed = false;
  timer_.set(os::monotonic_ns() + kDelayNs);
}

void WatchState::find_link() {
  wire::NamePacket packet = request();
  std::error_code error = link_.open();
  if (!error) error = link_.send(packet);
  if (!error) error = epoll_.add(link_.descriptor(), os::kReadable, kDaemonTag);
  if (error) link_.close();
  timer_.set(os::monotonic_ns() + (error ? kDelayNs : kConfirmNs));
}

std::optional<NameEvent> WatchState::wait(std::int64_t deadline_ns) {
  for (;;) {
    if (auto event = next()) return event;
    const std::int64_t left_ns = deadline_ns - os::monotonic_ns();
    if (left_ns <= 0) return std::nullopt;
    std::array<os::ReadyTag, 1> ready;
    static_cast<void>(epoll_.wait(ready, left_ns));
  }
}

void WatchState::bind(EventLoop& loop, std::shared_ptr<port::Listeners> listeners) {
  listeners_ = std::move(listeners);
  if (!attachment_) attachment_ = port::LoopAttachment(loop, *this);
  attachment_.wake();
}

std::size_t WatchState::serve(std::size_t most) {
  const auto self = shared_from_this();
  std::size_t served = 0;
  for (; served < most && is_open(); ++served) {
    try {
      auto event = next();
      if (!event) break;
      const auto listeners = listeners_;
      listeners->dispatch(*event);
    } catch (...) {
      static_cast<void>(port::report(std::current_exception()));
    }
  }
  return served;
}

bool WatchState::ready() noexcept {
  std::array<os::ReadyTag, 1> ready;
  return is_open() && (!untold_.empty() || epoll_.wait(ready, 0) > 0);
}

bool WatchState::keeps_loop_alive() const noexcept {
  return is_open() && listeners_ &&
         (listeners_->has("appeared") || listeners_->has("gone") || listeners_->has("replaced"));
}

}  // namespace portolan::names
