// SPDX-License-Identifier: Apache-2.0

#include "names/daemon_link.hpp"

#include <array>
#include <utility>

#include <portolan/error.hpp>

#include "names/address.hpp"
#include "os/epoll.hpp"
#include "os/local_socket.hpp"
#include "os/pause.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "port/fork_guard.hpp"

namespace portolan::names {

std::error_code DaemonLink::open() {
  close();
  const port::NoForks no_forks;
  std::error_code error = std::make_error_code(std::errc::no_such_file_or_directory);
  std::string tried;
  for (const DaemonPlace& place : daemon_places()) {
    FileDescriptor socket;
    error = os::connect_to(place.path, socket);
    tried += (tried.empty() ? "" : " or ") + place.shown;
    if (error == std::errc::no_such_file_or_directory) continue;
    where_ = place.shown;
    if (error) return error;
    os::Credentials daemon;
    trusted_ =
        !os::peer_credentials(socket.get(), daemon) && (daemon.uid == 0 || daemon.uid == os::effective_uid());
    socket_ = std::move(socket);
    wire::NamePacket hello;
    hello.kind = wire::NameKind::hello;
    hello.code = wire::kNameProtocolVersion;
    hello.generation = wire::kNameProtocolVersion;
    error = send(hello);
    if (error) close();
    return error;
  }
  where_ = tried;
  return error;
}

void DaemonLink::close() noexcept {
  welcome_ = false;
  socket_.reset();
}

std::error_code DaemonLink::send(wire::NamePacket& packet, std::span<const int> descriptors) {
  packet.number = ++last_number_;
  packet.descriptor_count = static_cast<std::uint32_t>(descriptors.size());
  return os::send_packet(socket_.get(), wire::encode(packet), descriptors);
}

DaemonLink::Got DaemonLink::receive(Arrived& out) {
  for (;;) {
    std::array<std::byte, wire::kMaxNamePacketBytes + 1> space;
    out.descriptors.clear();
    const os::ReceivedPacket got =
        os::receive_packet(socket_.get(), space, wire::kMaxNameDescriptors, out.descriptors);
    using Kind = os::ReceivedPacket::Kind;
    if (got.kind == Kind::would_block) return Got::nothing;
    if (got.kind == Kind::reset) continue;
    std::uint16_t version = 0;
    if (got.kind != Kind::packet || wire::read_name_packet(std::span(space).first(got.size_bytes), out.packet,
                                                           version) != wire::NameFault::none)
      return Got::lost;
    if (out.packet.kind == wire::NameKind::welcome) {
      welcome_ = true;
      own_uid_ = out.packet.uid;
    }
    if (got.descriptors_truncated || out.descriptors.size() != out.packet.descriptor_count) continue;
    return Got::packet;
  }
}

// Until something is there, or the deadline is over.
void DaemonLink::await(std::int64_t deadline_ns) const {
  os::Epoll epoll;
  static_cast<void>(epoll.add(socket_.get(), os::kReadable, 0));
  std::array<os::ReadyTag, 1> ready;
  const std::int64_t left_ns = deadline_ns - os::monotonic_ns();
  if (left_ns > 0) static_cast<void>(epoll.wait(ready, left_ns));
}

wire::NamePacket DaemonLink::call(const std::string& what, wire::NamePacket packet,
                                  std::span<const int> descriptors, std::int64_t deadline_ns,
                                  std::vector<Arrived>* on_way) {
  const auto fail = [&](std::error_code error, const std::string& text) {
    throw PortError(error, what + ": " + text);
  };
  const std::string gone = "portoland at " + where_ + " has gone; try again";
  for (bool sent = false;;) {
    if (welcome_ && !sent) {
      if (const auto error = send(packet, descriptors)) fail(error, gone);
      sent = true;
    }
    await(deadline_ns);
    // What comes may bring descriptors, which nobody that a fork knows of has before it is on its way. The
    // wait is not within: it would hold up every fork and every new channel of this process.
    const port::NoForks no_forks;
    Arrived arrived;
    switch (receive(arrived)) {
      case Got::lost:
        close();
        fail(std::make_error_code(std::errc::connection_reset), gone);
        break;
      case Got::nothing:
        if (os::monotonic_ns() < deadline_ns) continue;
        fail(std::make_error_code(std::errc::timed_out),
             "portoland at " + where_ + " does not answer; look at its log, or restart it");
        break;
      case Got::packet:
        break;
    }
    const std::error_code refused(static_cast<int>(arrived.packet.code), std::generic_category());
    const bool mine = sent && arrived.packet.number == packet.number;
    if (arrived.packet.kind == wire::NameKind::refused && (mine || !welcome_))
      fail(refused, arrived.packet.text);
    if (mine && arrived.packet.kind == wire::NameKind::done) return std::move(arrived.packet);
    if (mine && on_way != nullptr) on_way->push_back(std::move(arrived));
  }
}

std::string DaemonLink::explain(std::error_code error) const {
  const auto by = [this](const char* verb) {
    if (where_.starts_with("$PORTOLAN_SOCKET")) return std::string("portoland --socket with that path");
    const bool user = where_.starts_with("$XDG_RUNTIME_DIR");
    return std::string(user ? "systemctl --user " : "systemctl ") + verb + " portoland";
  };
  if (error == std::errc::no_such_file_or_directory)
    return "no portoland at " + where_ + "; start it (" + by("start") + ") or use unix:PATH";
  if (error == std::errc::connection_refused)
    return "nobody answers at " + where_ + "; start portoland again (" + by("restart") + ") or use unix:PATH";
  if (error == std::errc::permission_denied || error == std::errc::operation_not_permitted)
    return where_ + ": " + error.message() + "; ask for access to it, or use unix:PATH";
  return where_ + ": " + error.message() +
         "; set PORTOLAN_SOCKET to where a portoland listens, or use unix:PATH";
}

}  // namespace portolan::names
