// SPDX-License-Identifier: Apache-2.0

// The packet that carries a frame's descriptors through the socket: 48 bytes, whatever they belong to, since
// all that describes them stands in the frame. Generation and number tie the two together. A packet of one
// byte is a doorbell; every other size is a violation.
//   0 magic  4 version  6 kind  8 descriptor count  12 zero  16 generation  24 number  32 zero  40 zero
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace portolan::wire {

inline constexpr std::size_t kPacketBytes = 48;
inline constexpr std::size_t kDoorbellBytes = 1;

// 126 ports of two descriptors each; SCM_MAX_FD in the kernel is 253.
inline constexpr std::uint32_t kMaxPacketDescriptors = 252;

enum class PacketKind : std::uint16_t {
  transfer = 1,  // 1 to kMaxPacketDescriptors descriptors
  empty = 2,     // none: everything in front of it is an orphan of an earlier owner
  bundle = 3,    // one: a socket whose queue holds transfer packets with the descriptors
};

struct Packet {
  PacketKind kind = PacketKind::empty;
  std::uint32_t descriptor_count = 0;
  std::uint64_t generation = 0;  // the sender's endpoint
  std::uint64_t number = 0;      // counts the sender's transfers from 1
  friend bool operator==(const Packet&, const Packet&) = default;
};

/// The packet's bytes. The count must fit the kind.
[[nodiscard]] std::array<std::byte, kPacketBytes> encode(const Packet& packet) noexcept;

/// The packet, if the bytes are one: right size, magic and version, known kind, a count that fits it, a
/// number that is not 0, zeros where zeros belong.
[[nodiscard]] std::optional<Packet> decode_packet(std::span<const std::byte> bytes) noexcept;

[[nodiscard]] constexpr bool is_doorbell(std::span<const std::byte> bytes) noexcept {
  return bytes.size() == kDoorbellBytes;
}

}  // namespace portolan::wire
