// SPDX-License-Identifier: Apache-2.0

#include "wire/name_packet.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/bytes.hpp"

namespace portolan::wire {
namespace {

constexpr std::uint32_t kMagic = 0x646c'7470;  // "ptld"

constexpr std::size_t kMagicAt = 0;
constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kKindAt = 6;
constexpr std::size_t kNumberAt = 8;
constexpr std::size_t kCodeAt = 12;
constexpr std::size_t kUidAt = 16;
constexpr std::size_t kGidAt = 20;
constexpr std::size_t kPidAt = 24;
constexpr std::size_t kDescriptorsAt = 28;
constexpr std::size_t kGenerationAt = 32;
constexpr std::size_t kDurationAt = 40;
constexpr std::size_t kZeroAt = 52;
constexpr std::size_t kPortAt = 56;
constexpr std::size_t kPortBytes = attachments_bytes(1);
constexpr std::uint64_t kMaxSegmentBytes = std::uint64_t{1} << 41;  // both directions of the largest channel

// How many descriptors come with a kind.
struct Count {
  std::uint32_t least;
  std::uint32_t most;
};

std::optional<Count> descriptors_of(NameKind kind) noexcept {
  switch (kind) {
    case NameKind::greeting:
      return Count{1, 1};
    case NameKind::introduce:
    case NameKind::keep:
    case NameKind::kept:
      return Count{2, 2};
    case NameKind::introduction:
      return Count{2, 3};
    case NameKind::hello:
    case NameKind::enlist:
    case NameKind::withdraw:
    case NameKind::resolve:
    case NameKind::watch:
    case NameKind::reclaim:
    case NameKind::drop:
    case NameKind::list:
    case NameKind::welcome:
    case NameKind::done:
    case NameKind::refused:
    case NameKind::found:
    case NameKind::news:
    case NameKind::listed:
      return Count{0, 0};
  }
  return std::nullopt;
}

// Which of them have a name, and what it may be.
bool name_fits(const NamePacket& packet) noexcept {
  switch (packet.kind) {
    case NameKind::enlist:
    case NameKind::withdraw:
    case NameKind::resolve:
    case NameKind::introduce:
    case NameKind::introduction:
    case NameKind::keep:
    case NameKind::reclaim:
    case NameKind::drop:
    case NameKind::news:
    case NameKind::listed:
      return is_registered_name(packet.name);
    case NameKind::watch:
    case NameKind::list:
      return is_name_pattern(packet.name);
    default:
      return packet.name.empty();
  }
}

bool is_letter_or_digit(char each) noexcept {
  return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9');
}

bool is_name_of(std::string_view name, bool pattern) noexcept {
  if (name.empty() || name.size() > kMaxRegisteredNameBytes) return false;
  const auto star = [&](char each) { return pattern && each == '*'; };
  if (!is_letter_or_digit(name.front()) && !star(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [&](char each) {
    return is_letter_or_digit(each) || each == '.' || each == '_' || each == '-' || star(each);
  });
}

bool same_in_all_versions(NameKind kind) noexcept {
  return kind == NameKind::hello || kind == NameKind::welcome || kind == NameKind::refused;
}

// A text is for people and logs: it is one line, whoever wrote it.
bool printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char each) { return static_cast<unsigned char>(each) >= 0x20 && each != 0x7f; });
}

bool read_port(std::span<const std::byte> block, NamePacket& packet) {
  const bool none =
      std::all_of(block.begin(), block.end(), [](std::byte each) { return each == std::byte{0}; });
  if (none) return packet.descriptor_count == 0;
  Attachments table;
  if (packet.descriptor_count == 0 ||
      read_attachments(block, {1, kMaxSegmentBytes}, table) != AttachmentFault::none)
    return false;
  if (table.entries.size() != 1 || table.entries[0].kind != AttachmentKind::port || table.number != 1 ||
      table.generation != table.entries[0].expected_generation)
    return false;
  packet.port = table.entries[0];
  return true;
}

}  // namespace

bool is_registered_name(std::string_view name) noexcept {
  return is_name_of(name, false);
}

bool is_name_pattern(std::string_view pattern) noexcept {
  return is_name_of(pattern, true);
}

bool matches(std::string_view pattern, std::string_view name) noexcept {
  std::size_t at = 0, in = 0;
  std::size_t star = std::string_view::npos, retry = 0;
  while (in < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      retry = in;
    } else if (at < pattern.size() && pattern[at] == name[in]) {
      ++at, ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;  // the last star takes one more
      in = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

std::vector<std::byte> encode(const NamePacket& packet) {
  const std::string_view text = std::string_view(packet.text).substr(0, kMaxTextBytes);
  std::vector<std::byte> bytes(kNameHeadBytes + packet.name.size() + text.size());
  put(bytes, kMagicAt, kMagic);
  put(bytes, kVersionAt, kNameProtocolVersion);
  put(bytes, kKindAt, static_cast<std::uint16_t>(packet.kind));
  put(bytes, kNumberAt, packet.number);
  put(bytes, kCodeAt, packet.code);
  put(bytes, kUidAt, packet.uid);
  put(bytes, kGidAt, packet.gid);
  put(bytes, kPidAt, packet.pid);
  put(bytes, kDescriptorsAt, packet.descriptor_count);
  put(bytes, kGenerationAt, packet.generation);
  put(bytes, kDurationAt, packet.duration_ns);
  put(bytes, kNameBytesAt, static_cast<std::uint16_t>(packet.name.size()));
  put(bytes, kTextBytesAt, static_cast<std::uint16_t>(text.size()));
  if (packet.port) {
    write_attachments(std::span(bytes).subspan(kPortAt, kPortBytes), packet.port->expected_generation, 1,
                      {&*packet.port, 1});
  }
  std::memcpy(bytes.data() + kNameHeadBytes, packet.name.data(), packet.name.size());
  std::memcpy(bytes.data() + kNameHeadBytes + packet.name.size(), text.data(), text.size());
  return bytes;
}

NameFault read_name_packet(std::span<const std::byte> bytes, NamePacket& out, std::uint16_t& version) {
  if (bytes.size() < kNameHeadBytes || bytes.size() > kMaxNamePacketBytes ||
      get<std::uint32_t>(bytes, kMagicAt) != kMagic)
    return NameFault::no_packet;
  version = get<std::uint16_t>(bytes, kVersionAt);
  NamePacket packet;
  packet.kind = static_cast<NameKind>(get<std::uint16_t>(bytes, kKindAt));
  if (version != kNameProtocolVersion && !same_in_all_versions(packet.kind)) return NameFault::other_version;
  packet.number = get<std::uint32_t>(bytes, kNumberAt);
  packet.code = get<std::uint32_t>(bytes, kCodeAt);
  packet.uid = get<std::uint32_t>(bytes, kUidAt);
  packet.gid = get<std::uint32_t>(bytes, kGidAt);
  packet.pid = get<std::uint32_t>(bytes, kPidAt);
  packet.descriptor_count = get<std::uint32_t>(bytes, kDescriptorsAt);
  packet.generation = get<std::uint64_t>(bytes, kGenerationAt);
  packet.duration_ns = get<std::uint64_t>(bytes, kDurationAt);
  const std::size_t name_bytes = get<std::uint16_t>(bytes, kNameBytesAt);
  const std::size_t text_bytes = get<std::uint16_t>(bytes, kTextBytesAt);
  const std::optional<Count> count = descriptors_of(packet.kind);
  if (!count || packet.descriptor_count < count->least || packet.descriptor_count > count->most ||
      get<std::uint32_t>(bytes, kZeroAt) != 0 || text_bytes > kMaxTextBytes ||
      bytes.size() != kNameHeadBytes + name_bytes + text_bytes)
    return NameFault::malformed;
  const auto* const letters = reinterpret_cast<const char*>(bytes.data()) + kNameHeadBytes;
  packet.name.assign(letters, name_bytes);
  packet.text.assign(letters + name_bytes, text_bytes);
  if (!name_fits(packet) || !printable(packet.text) || !read_port(bytes.subspan(kPortAt, kPortBytes), packet))
    return NameFault::malformed;
  out = std::move(packet);
  return NameFault::none;
}

}  // namespace portolan::wire
