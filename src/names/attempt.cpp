// SPDX-License-Identifier: Apache-2.0

#include "names/attempt.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <portolan/error.hpp>

#include "os/local_socket.hpp"
#include "os/pause.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "port/fork_guard.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "wire/name_packet.hpp"

namespace portolan::names {

namespace {

constexpr std::int64_t kFirstDelayNs = 1'000'000;
constexpr std::int64_t kLongestDelayNs = 20'000'000;
constexpr std::int64_t kNsPerMs = 1'000'000;

std::int64_t deadline_after(std::chrono::nanoseconds patience) noexcept {
  constexpr std::int64_t kLongest = std::int64_t{1} << 62;
  return std::min(
      os::monotonic_ns() + std::clamp<std::int64_t>(patience.count(), 0, kLongest - (kLongest >> 2)),
      kLongest);
}

// A listener that is not there yet, or that somebody is about to start again.
bool may_come(std::error_code error) noexcept {
  return error == std::errc::no_such_file_or_directory || error == std::errc::connection_refused ||
         error == std::errc::resource_unavailable_try_again || error == std::errc::broken_pipe ||
         error == std::errc::connection_reset;
}

std::string why_not_yet(std::error_code error) {
  if (error == std::errc::no_such_file_or_directory) return "there is no such socket";
  if (error == std::errc::resource_unavailable_try_again)
    return "its listener does not accept, and its queue is full";
  return "nobody listens there";
}

}  // namespace

Attempt::Attempt(std::string_view address, ConnectOptions options)
    : address_(parse_address("connect", address)),
      options_(std::move(options)),
      deadline_ns_(deadline_after(options_.deadline)),
      delay_ns_(kFirstDelayNs) {
  if (const auto error = epoll_.add(timer_.descriptor(), os::kReadable, 0))
    refuse(error, error.message() + "; raise fs.epoll.max_user_watches or free memory");
  timer_.set(0);
  enrol();
}

Attempt::~Attempt() {
  withdraw();
}

void Attempt::become_inert() noexcept {
  link_.close();
  mine_ = {};
}

void Attempt::refuse(std::error_code error, const std::string& text) const {
  throw PortError(error, address_.in("connect") + ": " + text);
}

port::ChannelShape Attempt::shape(Trust trust) const noexcept {
  return {options_.limit_bytes, options_.label.empty() ? address_.text : options_.label, trust, false};
}

std::optional<MessagePort> Attempt::poll() {
  if (os::monotonic_ns() < next_try_ns_) return std::nullopt;
  return address_.is_path() ? try_path() : try_daemon();
}

std::optional<MessagePort> Attempt::try_path() {
  // A child forked meanwhile would keep the connection open behind its owner's back.
  const port::NoForks no_forks;
  FileDescriptor connection;
  std::error_code error = os::connect_to(address_.path, connection);
  if (!error) {
    os::Credentials other;
    const bool same_user = !os::peer_credentials(connection.get(), other) && other.uid == os::effective_uid();
    const int socket = connection.get();
    auto [mine, theirs] =
        port::make_channel_over(std::move(connection), shape(same_user ? Trust::same_user : Trust::foreign));
    wire::NamePacket greeting;
    greeting.kind = wire::NameKind::greeting;
    greeting.descriptor_count = 1;
    greeting.port = port::describe(theirs);
    const std::array descriptors{theirs.segment.get()};
    error = os::send_packet(socket, wire::encode(greeting), descriptors);
    if (!error) return port::PortAccess::make(std::make_shared<port::PortState>(std::move(mine)));
    if (error.value() == ETOOMANYREFS)
      refuse(error, "too many descriptors of this user wait in sockets; let their receivers take them first");
  }
  if (error.value() == EPROTOTYPE)
    refuse(error, "who listens at " + address_.path + " is no portolan::Listener; use another path");
  if (!may_come(error))
    refuse(error, address_.path + ": " + error.message() + "; ask for access to it, or use another path");
  come_again(error);
  return std::nullopt;
}

std::string Attempt::waited() const {
  return std::to_string(std::max<std::int64_t>(options_.deadline.count() / kNsPerMs, 0)) + " ms";
}

void Attempt::come_again(std::error_code why) {
  const std::int64_t now_ns = os::monotonic_ns();
  if (now_ns >= deadline_ns_) {
    const auto late = std::make_error_code(std::errc::timed_out);
    if (!address_.is_path())
      refuse(late, link_.explain(std::make_error_code(std::errc::connection_refused)) +
                       "; it was tried for " + waited());
    refuse(late, why_not_yet(why) + " at " + address_.path + " after " + waited() +
                     "; start the service that listens there, or give it longer");
  }
  next_try_ns_ = std::min(now_ns + delay_ns_, deadline_ns_);
  delay_ns_ = std::min(2 * delay_ns_, kLongestDelayNs);
  timer_.set(next_try_ns_);
}

void Attempt::wait() noexcept {
  std::array<os::ReadyTag, 1> ready;
  static_cast<void>(epoll_.wait(ready, -1));
}

}  // namespace portolan::names
