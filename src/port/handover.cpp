// SPDX-License-Identifier: Apache-2.0

// One record on a socket that is not ours: a packet as on a channel's socket, behind it the block that
// describes its one port, and the port's two descriptors with the first byte. Both ends use one call each, so
// that it stays whole.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/handover.hpp>

#include "os/descriptor_room.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "port/departure.hpp"
#include "port/fork_guard.hpp"
#include "port/parcel.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/segment.hpp"
#include "wire/attachments.hpp"
#include "wire/packet.hpp"

namespace portolan::port {

namespace {

constexpr std::size_t kRecordBytes = wire::kPacketBytes + wire::attachments_bytes(1);
static_assert(kRecordBytes == 112, "handover.hpp says so");
constexpr std::uint32_t kDescriptorsOfPort = wire::descriptors_of(wire::AttachmentKind::port);
constexpr std::uint64_t kNumber = 1;  // of the only transfer in a record

using Record = std::array<std::byte, kRecordBytes>;

Record encode_record(const wire::Attachment& port) {
  Record record;
  const auto packet =
      wire::encode({wire::PacketKind::transfer, kDescriptorsOfPort, port.expected_generation, kNumber});
  std::copy(packet.begin(), packet.end(), record.begin());
  wire::write_attachments(std::span(record).subspan(packet.size()), port.expected_generation, kNumber,
                          {&port, 1});
  return record;
}

std::optional<wire::Attachment> decode_record(const Record& record, wire::Attachments& table) {
  const std::span<const std::byte> bytes = record;
  const auto packet = wire::decode_packet(bytes.first(wire::kPacketBytes));
  const wire::AttachmentLimits limits{1, kMostSegmentBytes};
  if (!packet ||
      wire::read_attachments(bytes.subspan(wire::kPacketBytes), limits, table) != wire::AttachmentFault::none)
    return std::nullopt;
  const bool whole =
      *packet == wire::Packet{wire::PacketKind::transfer, kDescriptorsOfPort, table.generation, kNumber} &&
      table.number == kNumber && table.entries.size() == 1 &&
      table.entries[0].kind == wire::AttachmentKind::port &&
      table.entries[0].expected_generation == table.generation;
  return whole ? std::optional(table.entries[0]) : std::nullopt;
}

// A user's socket, for the time of one call.
class Carrier {
 public:
  Carrier(const char* call, int socket)
      : call_(std::string(call) + "(on socket " + std::to_string(socket) + ")"), socket_(socket) {
    if (!os::is_carrier(socket))
      refuse(std::make_error_code(std::errc::not_a_socket),
             "no AF_UNIX socket that could carry a port; use a connected one");
  }

  int socket() const noexcept { return socket_; }
  const std::string& call() const noexcept { return call_; }

  [[noreturn]] void refuse(std::error_code code, const std::string& text) const {
    throw PortError(code, call_ + ": " + text);
  }
  [[noreturn]] void reject(const std::string& text) const { throw DataCloneError(call_ + ": " + text); }

  void require_trust(Trust trust) const {
    os::Credentials other;
    if (trust == Trust::foreign) return;
    if (!os::peer_credentials(socket_, other) && other.uid == os::effective_uid()) return;
    reject(
        "a port with Trust::same_user stays with its user, and the kernel does not say that its uid is at "
        "the other "
        "end; make the channel with ChannelOptions{.trust = Trust::foreign}");
  }

 private:
  std::string call_;
  int socket_;
};

void send(const Carrier& carrier, MessagePort& port) {
  Departure departure(carrier.call());
  departure.add(port);
  const wire::Attachment about = departure.description(0);
  carrier.require_trust(static_cast<Trust>(about.trust));
  const Record record = encode_record(about);
  for (;;) {
    const std::error_code error = os::send_packet(carrier.socket(), record, departure.descriptors(0));
    if (!error) break;
    if (error.value() == ETOOMANYREFS)
      carrier.refuse(
          error, "too many descriptors of this user wait in sockets; let their receivers take them first");
    if (error != std::errc::resource_unavailable_try_again)
      carrier.refuse(error,
                     error.message() + "; the port is still here: use a socket whose other end is open");
    os::wait_until_writable(carrier.socket());
  }
  departure.commit();
}

// What one look at the socket has brought, and all the memory that a port of it takes: made before it is
// taken.
struct Arrival {
  Arrival() { table.entries.reserve(1); }

  Record record;
  std::vector<FileDescriptor> descriptors;
  os::ReceivedPacket packet;
  wire::Attachments table;
  std::shared_ptr<PortState> port = std::make_shared<PortState>(Parcel{});
};

// Room for the descriptors is made before they are taken, and without it they stay.
Arrival take(const Carrier& carrier) {
  Arrival arrival;
  if (const auto error = os::require_descriptor_room(kDescriptorsOfPort))
    carrier.refuse(error,
                   "no descriptors for a port, which waits; close some or raise RLIMIT_NOFILE (ulimit -n)");
  arrival.packet = os::receive_from_carrier(carrier.socket(), arrival.record, arrival.descriptors);
  return arrival;
}

MessagePort open(const Carrier& carrier, Arrival arrival) {
  const bool whole = arrival.packet.size_bytes == kRecordBytes && !arrival.packet.data_truncated;
  const auto announced = whole ? decode_record(arrival.record, arrival.table) : std::nullopt;
  if (!announced)
    carrier.reject("what came is no port, but something else that was sent; send_port() sends ports");
  if (arrival.descriptors.size() != kDescriptorsOfPort || arrival.packet.descriptors_truncated)
    carrier.reject("what came with the port is not its two descriptors, or they found no room here");
  Parcel parcel =
      parcel_from(*announced, std::move(arrival.descriptors[0]), std::move(arrival.descriptors[1]));
  std::string wrong = inspect_parcel(parcel, os::socket_inode(carrier.socket()));
  if (wrong.empty()) wrong = read_header(parcel);
  if (wrong.empty() && describe(parcel) != *announced)
    wrong = "its segment is another one than was announced";
  if (!wrong.empty()) carrier.reject("what came is no port: " + wrong);
  carrier.require_trust(parcel.trust);
  arrival.port->take_parcel(std::move(parcel));
  return PortAccess::make(std::move(arrival.port));
}

MessagePort receive(const Carrier& carrier) {
  using Kind = os::ReceivedPacket::Kind;
  for (;;) {
    {
      // Until the descriptors are a port's, which a fork knows of.
      const NoForks no_forks;
      Arrival arrival = take(carrier);
      const os::ReceivedPacket& packet = arrival.packet;
      if (packet.kind == Kind::packet) return open(carrier, std::move(arrival));
      if (packet.kind == Kind::refused)
        carrier.refuse(packet.error, packet.error.message() + "; use a connected socket");
      // It may have been an empty packet, and the kernel may say the end once before the last one.
      if (packet.kind == Kind::end && os::nothing_to_come(carrier.socket()))
        carrier.refuse(std::make_error_code(std::errc::connection_reset),
                       "the other end was closed before a port came; let it call send_port() first");
    }
    os::wait_until_readable(carrier.socket());
  }
}

}  // namespace

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

void send_port(int unix_socket, MessagePort&& port) {
  port::send(port::Carrier("send_port", unix_socket), port);
}

void send_port(int unix_socket, MessagePort&& port, std::error_code& error) {
  error.clear();
  try {
    send_port(unix_socket, std::move(port));
  } catch (const PortError& refusal) {
    error = refusal.code();
  }
}

MessagePort receive_port(int unix_socket) {
  return port::receive(port::Carrier("receive_port", unix_socket));
}

MessagePort receive_port(int unix_socket, std::error_code& error) {
  error.clear();
  try {
    return receive_port(unix_socket);
  } catch (const PortError& refusal) {
    error = refusal.code();
    return {};
  }
}

}  // namespace v1
}  // namespace portolan
