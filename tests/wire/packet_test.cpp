// SPDX-License-Identifier: Apache-2.0

// Transfer packets: their bytes, and every way in which bytes are none.
#include "wire/packet.hpp"

#include <array>
#include <cstdint>
#include <doctest/doctest.h>
#include <span>

using namespace portolan::wire;

namespace {

const Packet kTransfer{PacketKind::transfer, 2, 0x1122'3344'5566'7788, 9};

std::optional<Packet> decode_with(std::size_t offset, unsigned value) {
  auto bytes = encode(kTransfer);
  bytes[offset] = static_cast<std::byte>(value);
  return decode_packet(bytes);
}

std::optional<Packet> again(PacketKind kind, std::uint32_t descriptor_count, std::uint64_t number = 1) {
  return decode_packet(encode({kind, descriptor_count, 0, number}));
}

}  // namespace

TEST_CASE("a packet comes back as it was") {
  CHECK(decode_packet(encode(kTransfer)) == kTransfer);
  CHECK(again(PacketKind::empty, 0));
  CHECK(again(PacketKind::bundle, 1));
  CHECK(again(PacketKind::transfer, kMaxPacketDescriptors, UINT64_MAX));
}

TEST_CASE("a packet's bytes stand where the format says") {
  const auto bytes = encode(kTransfer);
  constexpr unsigned char kExpected[kPacketBytes] = {0x70, 0x74, 0x70, 0x6b, 1,    0,    1, 0,    2,
                                                     0,    0,    0,    0,    0,    0,    0, 0x88, 0x77,
                                                     0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 9};
  for (std::size_t i = 0; i < kPacketBytes; ++i) {
    CAPTURE(i);
    CHECK(std::to_integer<unsigned>(bytes[i]) == kExpected[i]);
  }
}

TEST_CASE("another size, magic, version, kind or something where zeros belong is no packet") {
  const auto bytes = encode(kTransfer);
  for (std::size_t size = 0; size < kPacketBytes; ++size)
    CHECK_FALSE(decode_packet(std::span(bytes).first(size)));
  CHECK_FALSE(decode_packet(std::array<std::byte, kPacketBytes + 1>{}));
  for (const std::size_t fixed : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 12U, 13U, 14U, 15U})
    CHECK_FALSE(decode_with(fixed, 0xff));
  for (std::size_t reserved = 32; reserved < kPacketBytes; ++reserved)
    CHECK_FALSE(decode_with(reserved, 0x80));
}

TEST_CASE("a descriptor count that does not fit the kind is no packet, nor is the number 0") {
  CHECK_FALSE(again(PacketKind::transfer, 0));
  CHECK_FALSE(again(PacketKind::transfer, kMaxPacketDescriptors + 1));
  CHECK_FALSE(again(PacketKind::transfer, UINT32_MAX));
  CHECK_FALSE(again(PacketKind::empty, 1));
  CHECK_FALSE(again(PacketKind::bundle, 0));
  CHECK_FALSE(again(PacketKind::bundle, 2));
  CHECK_FALSE(again(PacketKind{0}, 0));
  CHECK_FALSE(again(PacketKind{4}, 1));
  CHECK_FALSE(again(PacketKind::empty, 0, 0));
}

TEST_CASE("whatever decodes encodes to the same bytes") {
  for (std::size_t offset = 0; offset < kPacketBytes; ++offset) {
    for (unsigned value = 0; value < 256; ++value) {
      const auto packet = decode_with(offset, value);
      if (!packet) continue;
      auto bytes = encode(kTransfer);
      bytes[offset] = static_cast<std::byte>(value);
      CHECK(encode(*packet) == bytes);
    }
  }
}

TEST_CASE("a doorbell is any single byte") {
  const std::array<std::byte, 2> bytes{};
  CHECK(is_doorbell(std::span(bytes).first(1)));
  CHECK_FALSE(is_doorbell(bytes));
  CHECK_FALSE(is_doorbell({}));
}
