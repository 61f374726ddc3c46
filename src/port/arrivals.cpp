// SPDX-License-Identifier: Apache-2.0

#include "port/arrivals.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "os/socket.hpp"

namespace portolan::port {

namespace {

// A default queue takes 278. Only a peer that sends while it is read has more: it is cut off.
constexpr unsigned kMostPackets = 4096;

}  // namespace

bool Arrivals::is_staged(std::uint64_t generation, std::uint64_t number) const noexcept {
  return staged_ && staged_->packet.generation == generation && staged_->packet.number == number;
}

Arrivals::Collected Arrivals::collect(int socket, std::uint64_t generation, std::uint64_t number,
                                      std::uint32_t descriptor_count,
                                      std::vector<FileDescriptor>& descriptors, std::error_code& refused) {
  const bool bundled = descriptor_count > wire::kMaxPacketDescriptors;
  // Memory first, so that nothing throws between the packets of a bundle.
  if (bundled) descriptors.reserve(std::size_t{descriptor_count} + wire::kMaxPacketDescriptors);
  if (bundled || !is_staged(generation, number)) {
    // One more than the message needs: a bundle's own socket.
    if ((refused = room_.reserve(descriptor_count + 1))) return Collected::refused;
  }
  // [T2] release; pairs with [T3]: stored before the packet is taken, so an adopter knows that it may be
  // gone.
  lines_->reader.taken_transfer.store(number, std::memory_order_release);
  const Collected found = find(socket, generation, number, refused);
  room_.release(room_.size());
  return found == Collected::all ? match(descriptor_count, descriptors) : found;
}

// Stages the packet of that name.
Arrivals::Collected Arrivals::find(int socket, std::uint64_t generation, std::uint64_t number,
                                   std::error_code& refused) {
  for (unsigned packets_left = kMostPackets;;) {
    if (!staged_) {
      room_.release(room_.size());
      switch (receive(socket, packets_left, refused)) {
        case Next::packet:
          break;
        case Next::nothing:
          return Collected::none;
        case Next::violation:
          return Collected::violation;
        case Next::refused:
          return Collected::refused;
      }
    }
    if (is_staged(generation, number)) return Collected::all;
    if (std::tuple(staged_->packet.generation, staged_->packet.number) > std::tuple(generation, number))
      return Collected::none;
    staged_.reset();  // an orphan of an owner that was killed before it committed the frame
  }
}

Arrivals::Collected Arrivals::match(std::uint32_t descriptor_count,
                                    std::vector<FileDescriptor>& descriptors) {
  Staged staged = *std::exchange(staged_, std::nullopt);
  if (staged.cut) return Collected::cut;
  if (staged.descriptors.size() != staged.packet.descriptor_count) return Collected::violation;
  if (staged.packet.kind == wire::PacketKind::bundle)
    return unpack_bundle(staged.descriptors.front().get(), descriptor_count, descriptors);
  descriptors = std::move(staged.descriptors);
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

void Arrivals::put_back(std::uint64_t generation, std::uint64_t number,
                        std::vector<FileDescriptor> descriptors) noexcept {
  const auto count = static_cast<std::uint32_t>(descriptors.size());
  staged_ = Staged{{wire::PacketKind::transfer, count, generation, number}, std::move(descriptors), false};
}

Arrivals::Collected Arrivals::unpack_bundle(int bundle, std::uint32_t descriptor_count,
                                            std::vector<FileDescriptor>& descriptors) {
  if (descriptor_count <= wire::kMaxPacketDescriptors ||
      os::inspect_socket(bundle, -1) != os::SocketFault::none)
    return Collected::violation;
  // Its sender's end is closed, so the queue ends; one that does not is cut off by the count.
  for (int ends = 0; ends < 2 && descriptors.size() <= descriptor_count;) {
    std::array<std::byte, wire::kPacketBytes> bytes;
    const std::size_t before = descriptors.size();
    const os::ReceivedPacket packet =
        os::receive_packet(bundle, bytes, wire::kMaxPacketDescriptors, descriptors);
    const bool refused = packet.kind == os::ReceivedPacket::Kind::refused;
    if (refused || packet.descriptors_truncated) return Collected::cut;
    if (packet.kind != os::ReceivedPacket::Kind::packet)
      ++ends;
    else if (descriptors.size() == before)
      return Collected::violation;
    else
      ends = 0;
  }
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

// The next packet that is no doorbell, staged.
Arrivals::Next Arrivals::receive(int socket, unsigned& packets_left, std::error_code& refused) {
  for (int ends = 0; ends < 2;) {
    if (packets_left-- == 0) return Next::violation;
    // One byte more than a packet, so that a longer one is seen to be longer.
    std::array<std::byte, wire::kPacketBytes + 1> bytes;
    Staged staged;
    const os::ReceivedPacket received =
        os::receive_packet(socket, bytes, wire::kMaxPacketDescriptors + 1, staged.descriptors);
    switch (received.kind) {
      case os::ReceivedPacket::Kind::would_block:
        return Next::nothing;
      case os::ReceivedPacket::Kind::end:
        ++ends;
        continue;  // the kernel may say it once before the last packet
      case os::ReceivedPacket::Kind::reset:
        continue;  // the peer's own packets are still behind
      case os::ReceivedPacket::Kind::refused:
        refused = received.error;
        return Next::refused;
      case os::ReceivedPacket::Kind::packet:
        break;
    }
    const std::span<const std::byte> packet = std::span(bytes).first(received.size_bytes);
    if (wire::is_doorbell(packet) && staged.descriptors.empty()) continue;
    const std::optional<wire::Packet> decoded = wire::decode_packet(packet);
    if (!decoded || received.data_truncated) return Next::violation;
    staged.packet = *decoded;
    staged.cut = received.descriptors_truncated;
    staged_ = std::move(staged);
    return Next::packet;
  }
  return Next::nothing;
}

void Arrivals::drain_doorbells(int socket) noexcept {
  // First the queue's length, then the peer's number: if nothing was announced that is not taken, those bytes
  // were doorbells, whatever has come since.
  const std::size_t bytes = os::queued_bytes(socket);
  if (bytes == 0 || untaken()) return;
  std::array<std::byte, 1> doorbell;
  std::vector<FileDescriptor> none;
  for (std::size_t taken = 0; taken < std::min<std::size_t>(bytes, kMostPackets); ++taken) {
    const os::ReceivedPacket packet = os::receive_packet(socket, doorbell, 0, none);
    if (packet.kind == os::ReceivedPacket::Kind::would_block ||
        packet.kind == os::ReceivedPacket::Kind::refused)
      return;
  }
}

bool Arrivals::untaken() const noexcept {
  // [T4] acquire; pairs with [T5]: the number was stored before its packet was sent.
  const std::uint64_t announced = lines_->writer.next_transfer.load(std::memory_order_acquire);
  // [T3] acquire; pairs with [T2]: this owner's own number, or the last owner's.
  return announced != lines_->reader.taken_transfer.load(std::memory_order_acquire);
}

}  // namespace portolan::port
