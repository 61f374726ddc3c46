// SPDX-License-Identifier: Apache-2.0

#include "port/arrivals.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <tuple>
#include <utility>

#include "os/descriptor_room.hpp"
#include "os/socket.hpp"
#include "port/descriptor_access.hpp"

namespace portolan::port {

namespace {

// A default queue takes 278. Only a peer that sends while it is read has more: it is cut off.
constexpr unsigned kMostPackets = 4096;
// In one drain, so that a flood holds others up no longer: a correct peer answers a sleep with two doorbells.
constexpr std::size_t kMostDrained = 16;

// What a look at the socket has brought, as a packet of the protocol.
std::optional<wire::Packet> decode(std::span<const std::byte> bytes, const os::ReceivedPacket& received) {
  return received.data_truncated ? std::nullopt : wire::decode_packet(bytes.first(received.size_bytes));
}

void mark(std::span<FileDescriptor> descriptors, bool foreign) noexcept {
  for (FileDescriptor& each : descriptors) DescriptorAccess::set_foreign(each, foreign);
}

// One byte more than a packet, so that a longer one is seen to be longer.
using Bytes = std::array<std::byte, wire::kPacketBytes + 1>;

}  // namespace

Arrivals::Collected Arrivals::collect(int socket, std::uint64_t generation, std::uint64_t number,
                                      std::uint32_t descriptor_count,
                                      std::vector<FileDescriptor>& descriptors, std::error_code& refused) {
  const auto named = std::tuple(generation, number);
  const auto name_of = [](const wire::Packet& packet) {
    return std::tuple(packet.generation, packet.number);
  };
  // Memory first, so that nothing throws between the packets of a bundle.
  if (descriptor_count > wire::kMaxPacketDescriptors) {
    descriptors.reserve(std::size_t{descriptor_count} + wire::kMaxPacketDescriptors);
    early_.reserve(early_.size() + 1);
  }
  if (put_back_ && name_of(put_back_->packet) == named) {
    Received kept = std::move(*put_back_);
    put_back_.reset();
    return open(std::move(kept), descriptor_count, descriptors, refused);
  }
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Received& received) {
    return name_of(received.packet) == named;
  });
  if (early != early_.end()) {
    Received received = std::move(*early);
    early_.erase(early);
    return open(std::move(received), descriptor_count, descriptors, refused);
  }
  // One more than the message needs: a bundle's own socket.
  if ((refused = os::require_descriptor_room(descriptor_count + 1))) return Collected::refused;
  // [T2] release; pairs with [T3]: stored before the packet is taken, so an adopter knows that it may be
  // gone.
  lines_->reader.taken_transfer.store(number, std::memory_order_release);
  wire::Packet next;
  for (unsigned packets_left = kMostPackets;;) {
    switch (look(socket, next, packets_left, refused)) {
      case Next::nothing:
        return Collected::none;
      case Next::violation:
        return Collected::violation;
      case Next::refused:
        return Collected::refused;
      case Next::packet:
        break;
    }
    // A higher one stays for its own frame, wherever this endpoint is by then.
    if (name_of(next) > named) return Collected::none;
    if (name_of(next) == named) break;
    // An orphan of an owner that was killed before it committed the frame.
    static_cast<void>(drop(socket));
  }
  Received received;
  const Next found = receive(socket, next.descriptor_count, received, refused);
  if (found == Next::refused) return Collected::refused;
  // Another one than was looked at: nobody but this thread reads here.
  if (found != Next::packet || name_of(received.packet) != named) return Collected::violation;
  return open(std::move(received), descriptor_count, descriptors, refused);
}

// Takes the next packet. Whether descriptors came with it, which the kernel closes.
bool Arrivals::drop(int socket) noexcept {
  std::array<std::byte, 1> bytes;
  std::vector<FileDescriptor> none;
  return os::receive_packet(socket, bytes, 0, none).descriptors_truncated;
}

Arrivals::Collected Arrivals::open(Received received, std::uint32_t descriptor_count,
                                   std::vector<FileDescriptor>& descriptors, std::error_code& refused) {
  // More than was announced, and cut off for that, is the peer's doing.
  if (received.cut && received.descriptors.size() <= received.packet.descriptor_count) return Collected::cut;
  if (received.descriptors.size() != received.packet.descriptor_count) return Collected::violation;
  if (received.packet.kind == wire::PacketKind::bundle)
    return open_bundle(std::move(received), descriptor_count, descriptors, refused);
  descriptors = std::move(received.descriptors);
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

void Arrivals::put_back(std::uint64_t generation, std::uint64_t number,
                        std::vector<FileDescriptor> descriptors) noexcept {
  const auto count = static_cast<std::uint32_t>(descriptors.size());
  put_back_ =
      Received{{wire::PacketKind::transfer, count, generation, number}, std::move(descriptors), false};
}

Arrivals::Collected Arrivals::collect_early(int socket, std::uint64_t generation, std::uint64_t number,
                                            std::uint32_t descriptor_count, std::error_code& refused) {
  const auto is_named = [&](const Received& received) {
    return received.packet.generation == generation && received.packet.number == number;
  };
  if ((put_back_ && is_named(*put_back_)) || std::any_of(early_.begin(), early_.end(), is_named))
    return Collected::all;
  early_.reserve(early_.size() + 1);
  std::vector<FileDescriptor> descriptors;
  const Collected collected = collect(socket, generation, number, descriptor_count, descriptors, refused);
  if (collected != Collected::all && collected != Collected::cut) return collected;
  const bool cut = collected == Collected::cut;
  const auto count = static_cast<std::uint32_t>(cut ? descriptor_count : descriptors.size());
  early_.push_back({{wire::PacketKind::transfer, count, generation, number}, std::move(descriptors), cut});
  return collected;
}

// What is refused half-way is kept, with the rest of the bundle, for the next collect() of the same transfer.
Arrivals::Collected Arrivals::open_bundle(Received received, std::uint32_t descriptor_count,
                                          std::vector<FileDescriptor>& descriptors,
                                          std::error_code& refused) {
  std::move(received.opened.begin(), received.opened.end(), std::back_inserter(descriptors));
  received.opened.clear();
  const Collected taken =
      take_bundle(received.descriptors.front().get(), descriptor_count, descriptors, refused);
  if (taken != Collected::refused) return taken;
  received.opened = std::move(descriptors);
  descriptors.clear();
  early_.push_back(std::move(received));  // there is room
  return taken;
}

Arrivals::Collected Arrivals::take_bundle(int bundle, std::uint32_t descriptor_count,
                                          std::vector<FileDescriptor>& descriptors,
                                          std::error_code& refused) const {
  if (descriptor_count <= wire::kMaxPacketDescriptors) return Collected::violation;
  if (os::inspect_socket(bundle, 0, &refused) != os::SocketFault::none)
    return refused ? Collected::refused : Collected::violation;
  // Its sender's end is closed, so the queue ends; one that does not is cut off by the count.
  for (int ends = 0; ends < 2 && descriptors.size() <= descriptor_count;) {
    std::array<std::byte, wire::kPacketBytes> bytes;
    const std::size_t before = descriptors.size();
    const os::ReceivedPacket packet =
        os::receive_packet(bundle, bytes, wire::kMaxPacketDescriptors, descriptors);
    mark(descriptors, foreign_);
    if (packet.descriptors_truncated) return Collected::cut;
    if (packet.kind == os::ReceivedPacket::Kind::refused) {
      refused = packet.error;
      return Collected::refused;
    }
    if (packet.kind != os::ReceivedPacket::Kind::packet)
      ++ends;
    else if (descriptors.size() == before)
      return Collected::violation;
    else
      ends = 0;
  }
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

// The next packet that is no doorbell; it stays in the socket. Doorbells in front of it go.
Arrivals::Next Arrivals::look(int socket, wire::Packet& packet, unsigned& packets_left,
                              std::error_code& refused) {
  for (int ends = 0; ends < 2;) {
    if (packets_left-- == 0) return Next::violation;
    Bytes bytes;
    const os::ReceivedPacket seen = os::peek_packet(socket, bytes);
    switch (seen.kind) {
      case os::ReceivedPacket::Kind::would_block:
        return Next::nothing;
      case os::ReceivedPacket::Kind::end:
        ++ends;
        continue;  // the kernel may say it once before the last packet
      case os::ReceivedPacket::Kind::reset:
        continue;  // the peer's own packets are still behind
      case os::ReceivedPacket::Kind::refused:
        refused = seen.error;
        return Next::refused;
      case os::ReceivedPacket::Kind::packet:
        break;
    }
    if (wire::is_doorbell(std::span(bytes).first(seen.size_bytes))) {
      if (drop(socket)) return Next::violation;
      continue;
    }
    const std::optional<wire::Packet> decoded = decode(bytes, seen);
    if (!decoded) return Next::violation;
    packet = *decoded;
    return Next::packet;
  }
  return Next::nothing;
}

Arrivals::Next Arrivals::receive(int socket, std::uint32_t announced, Received& received,
                                 std::error_code& refused) const {
  Bytes bytes;
  const os::ReceivedPacket taken =
      os::receive_packet(socket, bytes, std::size_t{announced} + 1, received.descriptors);
  mark(received.descriptors, foreign_);
  if (taken.kind == os::ReceivedPacket::Kind::refused) {
    refused = taken.error;
    return Next::refused;
  }
  const std::optional<wire::Packet> decoded = decode(bytes, taken);
  if (!decoded) return Next::violation;
  received.packet = *decoded;
  received.cut = taken.descriptors_truncated;
  return Next::packet;
}

bool Arrivals::drain_doorbells(int socket) noexcept {
  // First the queue's length, then the peer's number: if nothing was announced that is not taken, those bytes
  // were doorbells, whatever has come since.
  const std::size_t bytes = os::queued_bytes(socket);
  if (bytes == 0 || untaken()) return true;
  std::array<std::byte, 1> doorbell;
  std::vector<FileDescriptor> none;
  for (std::size_t taken = 0; taken < bytes; ++taken) {
    if (taken == kMostDrained) return false;
    const os::ReceivedPacket packet = os::receive_packet(socket, doorbell, 0, none);
    if (packet.kind == os::ReceivedPacket::Kind::would_block ||
        packet.kind == os::ReceivedPacket::Kind::refused)
      return true;
    // Descriptors, which no doorbell has: closing 253 of them takes as long as a hundred doorbells.
    if (packet.descriptors_truncated) return false;
  }
  return true;
}

bool Arrivals::untaken() const noexcept {
  // [T4] acquire; pairs with [T5]: the number was stored before its packet was sent.
  const std::uint64_t announced = lines_->writer.next_transfer.load(std::memory_order_acquire);
  // [T3] acquire; pairs with [T2]: this owner's own number, or the last owner's.
  return announced != lines_->reader.taken_transfer.load(std::memory_order_acquire);
}

}  // namespace portolan::port
