// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include <portolan/custody.hpp>
#include <portolan/error.hpp>

#include "names/daemon_link.hpp"
#include "os/pause.hpp"
#include "os/socket.hpp"
#include "port/adoption.hpp"
#include "port/fork_guard.hpp"
#include "port/logging.hpp"
#include "port/parcel.hpp"

namespace portolan::names {

namespace {

// One connection for all that this process has kept. Never destroyed.
class Keeper final : public port::ForkGuarded {
 public:
  static Keeper& only() {
    static Keeper& keeper = *new Keeper;
    return keeper;
  }

  wire::NamePacket call(const std::string& what, wire::NamePacket packet, std::span<const int> descriptors,
                        std::int64_t patience_ns, std::vector<DaemonLink::Arrived>* on_way = nullptr) {
    const std::lock_guard lock(mutex_);
    DaemonLink::Arrived old;
    // What came meanwhile is of no use; that portoland is another one by now shows here.
    while (link_.is_open() && link_.receive(old) != DaemonLink::Got::nothing)
      if (os::nothing_to_come(link_.descriptor())) link_.close();
    if (!link_.is_open())
      if (const auto error = link_.open()) throw PortError(error, what + ": " + link_.explain(error));
    if (packet.port && packet.port->trust == wire::TrustLevel::same_user && !link_.is_trusted())
      throw DataCloneError(
          what + ": an end of a channel with Trust::same_user stays with its user, and the portoland at " +
          link_.where() + " is another one's; make the channel with Trust::foreign");
    return link_.call(what, std::move(packet), descriptors, os::monotonic_ns() + patience_ns, on_way);
  }

 private:
  Keeper() { enrol(); }
  void become_inert() noexcept override { link_.close(); }

  std::mutex mutex_;
  DaemonLink link_;
};

// Ports on their way to reclaim(): a forked child closes its copies.
struct OnWay final : port::ForkGuarded {
  OnWay() { enrol(); }
  ~OnWay() {
    const port::NoForks no_forks;
    arrived.clear();
    withdraw();
  }
  void become_inert() noexcept override {
    for (DaemonLink::Arrived& each : arrived)
      for (FileDescriptor& descriptor : each.descriptors) descriptor.reset();
  }

  std::vector<DaemonLink::Arrived> arrived;
};

std::string in(const char* call, std::string_view name) {
  return std::string(call) + "(\"" + std::string(name) + "\")";
}

void require_name(const std::string& call, std::string_view name) {
  if (wire::is_registered_name(name)) return;
  throw PortError(std::make_error_code(std::errc::invalid_argument),
                  call + ": this is no name; use letters, digits and ._- such as \"org.example.render\"");
}

PortHandle handle_for(const std::string& call, const MessagePort& port) {
  try {
    return port.custody_handle();
  } catch (const InvalidStateError& refused) {  // which names a call that nobody has made
    constexpr std::string_view kCall = "custody_handle";
    const std::string_view said = refused.what();
    throw InvalidStateError(call + std::string(said.substr(said.starts_with(kCall) ? kCall.size() : 0)));
  }
}

}  // namespace

}  // namespace portolan::names

namespace portolan {
inline namespace v1 {

void keep(std::string_view name, MessagePort& port, KeepOptions options) {
  const std::string call = names::in("keep", name);
  names::require_name(call, name);
  PortHandle handle = names::handle_for(call, port);
  port::Parcel parcel;
  parcel.segment = std::move(handle.segment());
  parcel.socket = std::move(handle.socket());
  parcel.side = handle.second_side() ? ring::Side::b : ring::Side::a;
  parcel.expected_generation = handle.generation();
  if (const std::string wrong = port::read_header(parcel); !wrong.empty())
    throw DataCloneError(call + ": the port cannot be kept: " + wrong);
  wire::NamePacket request;
  request.kind = wire::NameKind::keep;
  request.name = name;
  request.text = options.label;
  request.duration_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(options.deadline.count(), 0));
  request.port = port::describe(parcel);
  const std::array descriptors{parcel.segment.get(), parcel.socket.get()};
  static_cast<void>(names::Keeper::only().call(call, std::move(request), descriptors, names::kAnswerNs));
}

std::map<std::string, MessagePort> reclaim(std::string_view name, std::chrono::nanoseconds patience) {
  const std::string call = names::in("reclaim", name);
  names::require_name(call, name);
  wire::NamePacket request;
  request.kind = wire::NameKind::reclaim;
  request.name = name;
  request.duration_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(patience.count(), 0));
  names::OnWay kept;
  const std::int64_t longest_ns = static_cast<std::int64_t>(request.duration_ns) + names::kAnswerNs;
  static_cast<void>(names::Keeper::only().call(call, std::move(request), {}, longest_ns, &kept.arrived));
  const port::NoForks no_forks;  // until they are ports
  std::map<std::string, MessagePort> ports;
  for (names::DaemonLink::Arrived& each : kept.arrived) {
    if (each.packet.kind != wire::NameKind::kept) continue;
    try {
      ports.emplace(each.packet.text,
                    port::recover_parcel(port::parcel_from(*each.packet.port, std::move(each.descriptors[0]),
                                                           std::move(each.descriptors[1])),
                                         call));
    } catch (const DataCloneError& error) {
      // Somebody else has it, or its channel is broken: the others are no worse for it.
      port::log(LogLevel::warning, [&] { return std::string(error.what()); });
    }
  }
  os::kick_socket_collector();
  return ports;
}

void drop_kept(std::string_view name, std::string_view label) {
  const std::string call = names::in("drop_kept", name);
  names::require_name(call, name);
  wire::NamePacket request;
  request.kind = wire::NameKind::drop;
  request.name = name;
  request.text = label;
  static_cast<void>(names::Keeper::only().call(call, std::move(request), {}, names::kAnswerNs));
}

}  // namespace v1
}  // namespace portolan
