// SPDX-License-Identifier: Apache-2.0

#include "names/path_reception.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <portolan/error.hpp>

#include "os/descriptor_room.hpp"
#include "os/pause.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "port/fork_guard.hpp"
#include "wire/name_packet.hpp"

namespace portolan::names {

namespace {

constexpr std::uint64_t kListeningTag = 0;
constexpr std::uint64_t kFirstTag = 2;
// Each has two descriptors with its pidfd: a quarter of all, so that nobody takes them all by saying nothing.
std::size_t most_silent() noexcept {
  constexpr std::uint64_t kMost = 1024;
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(os::descriptor_limit() / 8, 1, kMost));
}
constexpr std::int64_t kPauseNs = 100'000'000;

void find_out(const FileDescriptor& connection, PeerIdentity& peer) noexcept {
  os::Credentials found;
  if (!os::peer_credentials(connection.get(), found)) {
    peer.uid = found.uid;
    peer.gid = found.gid;
    peer.pid = static_cast<std::uint32_t>(found.pid);
  }
  peer.pidfd = os::peer_pidfd(connection.get());
}

}  // namespace

PathReception::PathReception(const Address& address, const ListenOptions& options)
    : call_(address.in("Listener")),
      patience_ns_(std::max<std::int64_t>(options.patience.count(), 0)),
      next_tag_(kFirstTag),
      refusals_(call_) {
  const port::NoForks no_forks;
  std::error_code ignored;
  path_ = std::filesystem::absolute(address.path, ignored).string();
  const auto fail = [&](std::error_code error, const std::string& text) {
    throw PortError(error, call_ + ": " + text);
  };
  const std::string lock_path = path_ + ".lock";
  if (const auto error = lock_.acquire(lock_path)) {
    if (error == std::errc::resource_unavailable_try_again)
      fail(std::make_error_code(std::errc::address_in_use), "somebody listens at " + address.path +
                                                                " and holds " + lock_path +
                                                                "; stop it or use another path");
    fail(error,
         lock_path + " cannot be made (" + error.message() + "); use a directory that exists and is yours");
  }
  if (const auto error = os::remove_stale_socket(path_)) {
    if (error == std::errc::file_exists)
      fail(error, address.path + " is there and no socket; remove it or use another path");
    if (error == std::errc::address_in_use)
      fail(error, "another program listens at " + address.path + "; stop it or use another path");
    fail(error,
         "what is left at " + address.path + " cannot be removed (" + error.message() + "); remove it");
  }
  if (const auto error = os::listen_at(address.path, options.permissions, listening_))
    fail(error, "cannot listen at " + address.path + " (" + error.message() +
                    "); use a directory that exists and is "
                    "yours");
  inode_ = os::file_inode(path_);
  watch(listening_.get(), kListeningTag, call_);
  watch(timer().descriptor(), kTimerTag, call_);
}

std::optional<Introduction> PathReception::next() {
  if (!listening_) return std::nullopt;
  const port::NoForks no_forks;
  if (paused_until_ns_ != 0) resume();
  for (int round = 0; round < kMostRounds; ++round) {
    std::array<os::ReadyTag, 1> ready;
    if (epoll().wait(ready, 0) == 0) return std::nullopt;
    std::optional<Introduction> introduction;
    if (ready[0].tag == kListeningTag)
      introduction = accept_one();
    else if (ready[0].tag == kTimerTag)
      drop_overdue();
    else
      introduction = hear(ready[0].tag);
    if (introduction) return introduction;
  }
  return std::nullopt;
}

std::optional<Introduction> PathReception::accept_one() {
  require_room(3);  // the connection, its pidfd and a segment
  Silent silent;
  if (const auto error = os::accept_connection(listening_.get(), silent.connection)) {
    // Whatever it is, it is about this one connection, or there is none.
    return std::nullopt;
  }
  find_out(silent.connection, silent.peer);
  Introduction introduction;
  switch (receive(silent, introduction)) {
    case Heard::introduction:
      return introduction;
    case Heard::nonsense:
      return std::nullopt;
    case Heard::nothing_yet:
      break;
  }
  while (silent_.size() >= most_silent()) drop(silent_.begin());
  silent.deadline_ns = os::monotonic_ns() + patience_ns_;
  const std::uint64_t tag = next_tag_++;
  if (epoll().add(silent.connection.get(), os::kReadable, tag)) return std::nullopt;
  silent_.emplace(tag, std::move(silent));
  set_timer();
  return std::nullopt;
}

std::optional<Introduction> PathReception::hear(std::uint64_t tag) {
  const auto found = silent_.find(tag);
  if (found == silent_.end()) return std::nullopt;
  require_room(1);
  Introduction introduction;
  const Heard heard = receive(found->second, introduction);
  if (heard == Heard::nothing_yet) return std::nullopt;
  if (heard == Heard::introduction) epoll().remove(introduction.parcel.socket.get());
  drop(found);
  return heard == Heard::introduction ? std::optional(std::move(introduction)) : std::nullopt;
}

PathReception::Heard PathReception::receive(Silent& silent, Introduction& introduction) {
  std::array<std::byte, wire::kMaxNamePacketBytes> space;
  std::vector<FileDescriptor> descriptors;
  const os::ReceivedPacket got = os::receive_packet(silent.connection.get(), space, 1, descriptors);
  if (got.kind == os::ReceivedPacket::Kind::would_block) return Heard::nothing_yet;
  const auto who = [&] {
    return "uid " + std::to_string(silent.peer.uid) + ", pid " + std::to_string(silent.peer.pid);
  };
  if (got.kind != os::ReceivedPacket::Kind::packet) return Heard::nonsense;  // gone before it said anything
  wire::NamePacket packet;
  std::uint16_t version = 0;
  const auto fault = wire::read_name_packet(std::span(space).first(got.size_bytes), packet, version);
  if (fault != wire::NameFault::none || packet.kind != wire::NameKind::greeting || descriptors.size() != 1 ||
      got.descriptors_truncated) {
    refusals_.note([&] {
      return "what " + who() + " sent is no greeting" +
             (fault == wire::NameFault::other_version
                  ? " of version " + std::to_string(wire::kNameProtocolVersion) + " but one of version " +
                        std::to_string(version)
                  : std::string()) +
             "; it was turned away";
    });
    return Heard::nonsense;
  }
  introduction.parcel =
      port::parcel_from(*packet.port, std::move(descriptors[0]), std::move(silent.connection));
  introduction.peer = std::move(silent.peer);
  if (const std::string wrong = inspect(introduction, os::effective_uid()); !wrong.empty()) {
    refusals_.note(
        [&] { return "what " + who() + " brought is no port: " + wrong + "; it was turned away"; });
    return Heard::nonsense;
  }
  return Heard::introduction;
}

void PathReception::require_room(std::size_t descriptors) {
  const auto error = os::require_descriptor_room(descriptors);
  if (!error) return;
  pause();
  throw PortError(error, call_ +
                             ": no descriptors for who has connected, and waits; close some or raise "
                             "RLIMIT_NOFILE (ulimit -n)");
}

// A full table would make the waiting connections spin.
void PathReception::pause() noexcept {
  paused_until_ns_ = os::monotonic_ns() + kPauseNs;
  static_cast<void>(epoll().modify(listening_.get(), 0, kListeningTag));
  for (const auto& [tag, silent] : silent_)
    static_cast<void>(epoll().modify(silent.connection.get(), 0, tag));
  set_timer();
}

void PathReception::resume() noexcept {
  paused_until_ns_ = 0;
  static_cast<void>(epoll().modify(listening_.get(), os::kReadable, kListeningTag));
  for (const auto& [tag, silent] : silent_)
    static_cast<void>(epoll().modify(silent.connection.get(), os::kReadable, tag));
  set_timer();
}

void PathReception::drop_overdue() noexcept {
  const std::int64_t now = os::monotonic_ns();
  while (!silent_.empty() && silent_.begin()->second.deadline_ns <= now) drop(silent_.begin());
  set_timer();
}

void PathReception::drop(std::map<std::uint64_t, Silent>::iterator silent) noexcept {
  if (silent->second.connection) epoll().remove(silent->second.connection.get());
  silent_.erase(silent);
  set_timer();
}

void PathReception::set_timer() noexcept {
  std::int64_t next_ns = paused_until_ns_;
  if (!silent_.empty() && (next_ns == 0 || silent_.begin()->second.deadline_ns < next_ns))
    next_ns = silent_.begin()->second.deadline_ns;
  if (next_ns != 0)
    timer().set(next_ns);
  else
    timer().clear();
}

void PathReception::close() noexcept {
  if (!listening_) return;
  const port::NoForks no_forks;
  // First the file: who comes now finds nobody, and waits for the next listener.
  if (os::file_inode(path_) == inode_) os::remove_file(path_);
  try {
    while (const auto tag = silent_.empty() ? std::nullopt : std::optional(silent_.begin()->first))
      if (auto introduction = hear(*tag))
        turn_away(*introduction, os::effective_uid());
      else
        silent_.erase(*tag);
    for (Silent silent; !os::accept_connection(listening_.get(), silent.connection);) {
      Introduction introduction;
      find_out(silent.connection, silent.peer);
      if (receive(silent, introduction) == Heard::introduction) turn_away(introduction, os::effective_uid());
    }
  } catch (const std::exception&) {
    // No descriptors or memory to say it with: they see the connection end.
  }
  silent_.clear();
  let_go();
  listening_.reset();
  lock_ = {};
}

void PathReception::disown() noexcept {
  let_go();
  listening_.reset();
  silent_.clear();
  lock_.disown();
}

}  // namespace portolan::names
