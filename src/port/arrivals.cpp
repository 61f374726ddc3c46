// SPDX-License-Identifier: Apache-2.0

#include "port/arrivals.hpp"

#include <array>
#include <tuple>
#include <utility>

#include "os/socket.hpp"

namespace portolan::port {

Arrivals::Collected Arrivals::collect(int socket, std::uint64_t generation, std::uint64_t number,
                                      std::uint32_t descriptor_count,
                                      std::vector<FileDescriptor>& descriptors, std::error_code& refused) {
  // One more than the message needs: a bundle's own socket.
  if ((refused = room_.reserve(descriptor_count + 1))) return Collected::refused;
  // [T2] release; pairs with [T3]: stored before the packet is taken, so an adopter knows that it may be
  // gone.
  lines_->reader.taken_transfer.store(number, std::memory_order_release);
  for (;;) {
    if (!staged_) {
      room_.release(room_.size());
      switch (receive(socket, wire::kMaxPacketDescriptors + 1, refused)) {
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
    const auto named = std::tuple(generation, number);
    const auto found = std::tuple(staged_->packet.generation, staged_->packet.number);
    if (found > named) return Collected::none;
    if (found == named) return match(generation, number, descriptor_count, descriptors);
    staged_.reset();  // an orphan of an owner that was killed before it committed the frame
  }
}

Arrivals::Collected Arrivals::match(std::uint64_t, std::uint64_t, std::uint32_t descriptor_count,
                                    std::vector<FileDescriptor>& descriptors) {
  Staged staged = *std::exchange(staged_, std::nullopt);
  if (staged.cut) return Collected::cut;
  if (staged.descriptors.size() != staged.packet.descriptor_count) return Collected::violation;
  descriptors = std::move(staged.descriptors);
  if (staged.packet.kind == wire::PacketKind::bundle) return unpack_bundle(descriptor_count, descriptors);
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

void Arrivals::put_back(std::uint64_t generation, std::uint64_t number,
                        std::vector<FileDescriptor> descriptors) {
  const auto count = static_cast<std::uint32_t>(descriptors.size());
  staged_ = Staged{{wire::PacketKind::transfer, count, generation, number}, std::move(descriptors), false};
}

Arrivals::Collected Arrivals::unpack_bundle(std::uint32_t descriptor_count,
                                            std::vector<FileDescriptor>& descriptors) {
  const FileDescriptor bundle = std::move(descriptors.front());
  descriptors.clear();
  if (os::inspect_socket(bundle.get(), -1) != os::SocketFault::none) return Collected::violation;
  // Its sender's end is closed, so the queue ends; a queue that does not is cut off by the count.
  for (int ends = 0; ends < 2 && descriptors.size() <= descriptor_count;) {
    std::array<std::byte, wire::kPacketBytes> bytes;
    const os::ReceivedPacket packet =
        os::receive_packet(bundle.get(), bytes, wire::kMaxPacketDescriptors, descriptors);
    if (packet.descriptors_truncated) return Collected::cut;
    ends = packet.kind == os::ReceivedPacket::Kind::packet ? 0 : ends + 1;
  }
  return descriptors.size() == descriptor_count ? Collected::all : Collected::violation;
}

// The next packet that is no doorbell, staged.
Arrivals::Next Arrivals::receive(int socket, std::size_t most_descriptors, std::error_code& refused) {
  for (int ends = 0; ends < 2;) {
    // One byte more than a packet, so that a longer one is seen to be longer.
    std::array<std::byte, wire::kPacketBytes + 1> bytes;
    Staged staged;
    const os::ReceivedPacket received =
        os::receive_packet(socket, bytes, most_descriptors, staged.descriptors);
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
  for (std::size_t taken = 0; taken < bytes; ++taken) {
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
