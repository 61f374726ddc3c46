// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "fuzz/target.hpp"
#include "wire/name_packet.hpp"

namespace portolan::fuzz {

bool read(std::span<const std::byte> input) {
  wire::NamePacket packet;
  std::uint16_t version = 0;
  if (wire::read_name_packet(input, packet, version) != wire::NameFault::none) return false;
  if (version != wire::kNameProtocolVersion) return true;
  const auto again = wire::encode(packet);
  FUZZ_HOLDS(std::equal(input.begin(), input.end(), again.begin(), again.end()));
  static_cast<void>(wire::matches(packet.name, packet.text));
  return true;
}

std::vector<Input> seeds() {
  using wire::NameKind;
  wire::Attachment port;
  port.kind = wire::AttachmentKind::port;
  port.expected_generation = 3;
  port.size_bytes = 1 << 20;
  std::vector<Input> packets;
  const auto seed = [&](NameKind kind, std::string name, std::string text, std::uint32_t descriptors) {
    wire::NamePacket packet;
    packet.kind = kind;
    packet.number = 7;
    packet.name = std::move(name);
    packet.text = std::move(text);
    packet.descriptor_count = descriptors;
    if (descriptors > 0) packet.port = port;
    packets.push_back(wire::encode(packet));
  };
  seed(NameKind::greeting, "", "", 1);
  seed(NameKind::hello, "", "", 0);
  seed(NameKind::enlist, "org.example.render", "", 0);
  seed(NameKind::introduce, "org.example.render", "", 2);
  seed(NameKind::watch, "org.*.render", "", 0);
  seed(NameKind::list, "*", "", 0);
  seed(NameKind::listed, "org.example.render", "", 0);
  seed(NameKind::keep, "org.example.render", "client 7", 2);
  seed(NameKind::refused, "", "the policy says no; ask for more", 0);
  seed(NameKind::introduction, "org.example.render", "", 3);
  return packets;
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return 4 * input_bytes + 1024;
}

}  // namespace portolan::fuzz
