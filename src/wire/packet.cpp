// SPDX-License-Identifier: Apache-2.0

// Transfer packets to bytes and back.
#include "wire/packet.hpp"

#include "wire/bytes.hpp"

namespace portolan::wire {
namespace {

constexpr std::uint32_t kMagic = 0x6b70'7470;  // "ptpk"
constexpr std::uint16_t kVersion = 1;

constexpr std::size_t kMagicAt = 0;
constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kKindAt = 6;
constexpr std::size_t kCountAt = 8;
constexpr std::size_t kZeroAt = 12;
constexpr std::size_t kGenerationAt = 16;
constexpr std::size_t kNumberAt = 24;
constexpr std::size_t kReservedAt = 32;
static_assert(kReservedAt + 2 * sizeof(std::uint64_t) == kPacketBytes);

bool fits(PacketKind kind, std::uint32_t descriptor_count) noexcept {
  switch (kind) {
    case PacketKind::transfer:
      return descriptor_count >= 1 && descriptor_count <= kMaxPacketDescriptors;
    case PacketKind::empty:
      return descriptor_count == 0;
    case PacketKind::bundle:
      return descriptor_count == 1;
  }
  return false;
}

}  // namespace

std::array<std::byte, kPacketBytes> encode(const Packet& packet) noexcept {
  std::array<std::byte, kPacketBytes> bytes{};
  put(bytes, kMagicAt, kMagic);
  put(bytes, kVersionAt, kVersion);
  put(bytes, kKindAt, static_cast<std::uint16_t>(packet.kind));
  put(bytes, kCountAt, packet.descriptor_count);
  put(bytes, kGenerationAt, packet.generation);
  put(bytes, kNumberAt, packet.number);
  return bytes;
}

std::optional<Packet> decode_packet(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() != kPacketBytes) return std::nullopt;
  if (get<std::uint32_t>(bytes, kMagicAt) != kMagic) return std::nullopt;
  if (get<std::uint16_t>(bytes, kVersionAt) != kVersion) return std::nullopt;
  if (get<std::uint32_t>(bytes, kZeroAt) != 0) return std::nullopt;
  if ((get<std::uint64_t>(bytes, kReservedAt) | get<std::uint64_t>(bytes, kReservedAt + 8)) != 0)
    return std::nullopt;
  Packet packet;
  packet.kind = static_cast<PacketKind>(get<std::uint16_t>(bytes, kKindAt));
  packet.descriptor_count = get<std::uint32_t>(bytes, kCountAt);
  packet.generation = get<std::uint64_t>(bytes, kGenerationAt);
  packet.number = get<std::uint64_t>(bytes, kNumberAt);
  if (!fits(packet.kind, packet.descriptor_count) || packet.number == 0) return std::nullopt;
  return packet;
}

}  // namespace portolan::wire
