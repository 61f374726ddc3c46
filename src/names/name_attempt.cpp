// SPDX-License-Identifier: Apache-2.0

// Connecting to a name, through portoland.
#include <algorithm>
#include <array>
#include <utility>

#include <portolan/error.hpp>

#include "names/attempt.hpp"
#include "os/pause.hpp"
#include "os/user_database.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan::names {

std::optional<MessagePort> Attempt::try_daemon() {
  if (!link_.is_open()) {
    std::error_code error = link_.open();
    // A socket without a file is a daemon that was never started; one that refuses is about to be started
    // again.
    if (error == std::errc::no_such_file_or_directory) refuse(error, link_.explain(error));
    if (!error) error = epoll_.add(link_.descriptor(), os::kReadable, 1);
    if (error) {
      link_.close();
      if (error != std::errc::connection_refused && error != std::errc::resource_unavailable_try_again &&
          error != std::errc::connection_reset && error != std::errc::broken_pipe)
        refuse(error, link_.explain(error));
      come_again(error);
      return std::nullopt;
    }
    timer_.clear();
    if (!ask()) return std::nullopt;
  }
  for (;;) {
    DaemonLink::Arrived arrived;
    switch (link_.receive(arrived)) {
      case DaemonLink::Got::nothing:
        return std::nullopt;
      case DaemonLink::Got::lost:
        lose_link(std::make_error_code(std::errc::connection_refused));
        return std::nullopt;
      case DaemonLink::Got::packet:
        break;
    }
    if (auto port = hear(arrived.packet)) return port;
    if (!link_.is_open()) return std::nullopt;
  }
}

bool Attempt::ask() {
  wire::NamePacket request;
  request.kind = wire::NameKind::resolve;
  request.name = address_.text;
  request.duration_ns =
      static_cast<std::uint64_t>(std::max<std::int64_t>(deadline_ns_ - os::monotonic_ns(), 0));
  const std::error_code error = link_.send(request);
  resolving_ = request.number;
  if (error) lose_link(error);
  return !error;
}

std::optional<MessagePort> Attempt::hear(const wire::NamePacket& packet) {
  using wire::NameKind;
  if (packet.kind == NameKind::found && packet.number == resolving_) {
    introduce(packet);
  } else if (packet.kind == NameKind::done && packet.number == introducing_) {
    return port::PortAccess::make(std::make_shared<port::PortState>(std::move(mine_)));
  } else if (packet.kind == NameKind::refused) {
    const std::error_code error(static_cast<int>(packet.code), std::generic_category());
    if (packet.number == introducing_ && error == std::errc::resource_unavailable_try_again) {
      static_cast<void>(ask());  // another listener has the name now
    } else if (error == std::errc::timed_out) {
      refuse(error, packet.text + " at " + link_.where() + " within " + waited() +
                        "; start the service, or give it longer");
    } else {
      refuse(error, packet.text);
    }
  }
  return std::nullopt;
}

void Attempt::introduce(const wire::NamePacket& owner) {
  const port::NoForks no_forks;
  const bool same_user = os::same_uid(owner.uid, link_.own_uid()) && link_.is_trusted();
  auto [mine, theirs] = port::make_channel(shape(same_user ? Trust::same_user : Trust::foreign));
  wire::NamePacket request;
  request.kind = wire::NameKind::introduce;
  request.name = address_.text;
  request.generation = owner.generation;
  request.port = port::describe(theirs);
  const std::array descriptors{theirs.segment.get(), theirs.socket.get()};
  const std::error_code error = link_.send(request, descriptors);
  introducing_ = request.number;
  mine_ = std::move(mine);
  if (error) lose_link(error);
}

void Attempt::lose_link(std::error_code why) {
  epoll_.remove(link_.descriptor());
  link_.close();
  mine_ = {};
  come_again(why);
}

}  // namespace portolan::names
