// SPDX-License-Identifier: Apache-2.0

#include <cstring>

#include "fuzz/target.hpp"
#include "wire/packet.hpp"

namespace portolan::fuzz {

bool read(std::span<const std::byte> input) {
  const auto packet = wire::decode_packet(input);
  if (!packet) return false;
  const auto again = wire::encode(*packet);
  FUZZ_HOLDS(input.size() == again.size() && std::memcmp(input.data(), again.data(), again.size()) == 0);
  return true;
}

std::vector<Input> seeds() {
  std::vector<Input> packets;
  for (const wire::Packet& packet :
       {wire::Packet{wire::PacketKind::transfer, 2, 4, 1}, wire::Packet{wire::PacketKind::empty, 0, 6, 2},
        wire::Packet{wire::PacketKind::bundle, 1, 1ULL << 40, 3}}) {
    const auto bytes = wire::encode(packet);
    packets.emplace_back(bytes.begin(), bytes.end());
  }
  return packets;
}

std::size_t memory_limit_bytes(std::size_t) {
  return 0;
}

}  // namespace portolan::fuzz
