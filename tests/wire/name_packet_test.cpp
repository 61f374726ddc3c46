// SPDX-License-Identifier: Apache-2.0

// Packets between programs and portoland: their bytes, and every way in which bytes are none.
#include "wire/name_packet.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <span>
#include <string>
#include <vector>

using namespace portolan::wire;

namespace {

NamePacket keep_packet() {
  NamePacket packet;
  packet.kind = NameKind::keep;
  packet.number = 0x0a0b'0c0d;
  packet.code = 1;
  packet.uid = 2;
  packet.gid = 3;
  packet.pid = 4;
  packet.descriptor_count = 2;
  packet.generation = 0x1122'3344'5566'7788;
  packet.duration_ns = 5;
  packet.port.emplace();
  packet.port->kind = AttachmentKind::port;
  packet.port->expected_generation = 6;
  packet.port->size_bytes = 4096;
  packet.name = "org.x";
  packet.text = "a label";
  return packet;
}

NameFault name_fault_of(std::span<const std::byte> bytes) {
  NamePacket packet;
  std::uint16_t version = 0;
  return read_name_packet(bytes, packet, version);
}

NameFault name_fault_of(const NamePacket& packet) {
  return name_fault_of(encode(packet));
}

NameFault fault_with(std::size_t offset, unsigned value) {
  auto bytes = encode(keep_packet());
  bytes[offset] = static_cast<std::byte>(value);
  return name_fault_of(bytes);
}

}  // namespace

TEST_CASE("a packet of names comes back as it was") {
  NamePacket packet;
  std::uint16_t version = 0;
  REQUIRE(read_name_packet(encode(keep_packet()), packet, version) == NameFault::none);
  CHECK(packet == keep_packet());
  CHECK(version == kNameProtocolVersion);
}

TEST_CASE("a name packet's bytes stand where the format says") {
  const auto bytes = encode(keep_packet());
  REQUIRE(bytes.size() == kNameHeadBytes + 5 + 7);
  constexpr unsigned char kExpected[56] = {
      'p',  't',  'l', 'd', 1, 0, 22, 0, 0x0d, 0x0c, 0x0b, 0x0a, 1, 0,    0,    0,    2,    0,    0,
      0,    3,    0,   0,   0, 4, 0,  0, 0,    2,    0,    0,    0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
      0x22, 0x11, 5,   0,   0, 0, 0,  0, 0,    0,    5,    0,    7, 0,    0,    0,    0,    0};
  for (std::size_t i = 0; i < sizeof kExpected; ++i) {
    CAPTURE(i);
    CHECK(std::to_integer<unsigned>(bytes[i]) == kExpected[i]);
  }
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()) + kNameHeadBytes, 12) == "org.xa label");
}

TEST_CASE("a size, magic, kind, count or field that is none is no packet of names") {
  const auto bytes = encode(keep_packet());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(name_fault_of(std::span(bytes).first(size)) != NameFault::none);
  CHECK(fault_with(0, 0) == NameFault::no_packet);
  for (const std::size_t zero : {52U, 53U, 54U, 55U}) CHECK(fault_with(zero, 1) == NameFault::malformed);
  CHECK(fault_with(6, 99) == NameFault::malformed);      // an unknown kind
  CHECK(fault_with(28, 1) == NameFault::malformed);      // a descriptor too few
  CHECK(fault_with(48, 6) == NameFault::malformed);      // a name that is longer than the packet
  CHECK(fault_with(120, '*') == NameFault::malformed);   // no name
  CHECK(fault_with(125, '\n') == NameFault::malformed);  // no line of text
  NamePacket without = keep_packet();
  without.port.reset();
  CHECK(name_fault_of(without) == NameFault::malformed);
  NamePacket nameless = keep_packet();
  nameless.name.clear();
  CHECK(name_fault_of(nameless) == NameFault::malformed);
}

TEST_CASE("of another version only hello, welcome and refused are read, and the version is told") {
  NamePacket packet = keep_packet();
  std::uint16_t version = 0;
  auto bytes = encode(packet);
  bytes[4] = std::byte{9};
  CHECK(read_name_packet(bytes, packet, version) == NameFault::other_version);
  CHECK(version == 9);
  for (const NameKind kind : {NameKind::hello, NameKind::welcome, NameKind::refused}) {
    NamePacket all_versions;
    all_versions.kind = kind;
    all_versions.text = "said in any version";
    bytes = encode(all_versions);
    bytes[4] = std::byte{9};
    CHECK(read_name_packet(bytes, packet, version) == NameFault::none);
    CHECK(packet == all_versions);
  }
}

TEST_CASE("names are words with dots, and a pattern has stars besides") {
  CHECK(is_registered_name("org.example.Render-2_b"));
  for (const char* const none : {"", ".x", "-x", "a b", "a/b", "a*", "\xc3\xa4"})
    CHECK_FALSE(is_registered_name(none));
  CHECK(is_registered_name(std::string(kMaxRegisteredNameBytes, 'x')));
  CHECK_FALSE(is_registered_name(std::string(kMaxRegisteredNameBytes + 1, 'x')));
  CHECK(is_name_pattern("*.example.*"));
  CHECK(matches("*", "anything"));
  CHECK(matches("org.*.render", "org.example.of.render"));
  CHECK(matches("org.example", "org.example"));
  CHECK(matches("a*b*c", "abbbc"));
  CHECK_FALSE(matches("org.*.render", "org.example.renderer"));
  CHECK_FALSE(matches("org.example", "org.example.render"));
  CHECK_FALSE(matches("", "x"));
}

TEST_CASE("a text that is too long is cut off, and still a packet") {
  NamePacket packet;
  packet.kind = NameKind::refused;
  packet.text = std::string(2 * kMaxTextBytes, 'x');
  std::uint16_t version = 0;
  REQUIRE(read_name_packet(encode(packet), packet, version) == NameFault::none);
  CHECK(packet.text.size() == kMaxTextBytes);
}
