// SPDX-License-Identifier: Apache-2.0

// What travels between a program and portoland, and in front of a channel that is made by connecting to a
// path: one packet a request, an answer or an event, all of one layout. docs/daemon-protocol.md has it byte
// by byte.
//   0 magic  4 version  6 kind  8 number  12 code  16 uid  20 gid  24 pid  28 descriptor count
//   32 generation  40 duration in ns  48 bytes of the name  50 bytes of the text  52 zero
//   56 the port, as an attachment block of one entry, or zeros  120 the name, then the text
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/attachments.hpp"

namespace portolan::wire {

inline constexpr std::uint16_t kNameProtocolVersion = 1;
inline constexpr std::size_t kNameHeadBytes = 56 + attachments_bytes(1);
static_assert(kNameHeadBytes == 120);
inline constexpr std::size_t kNameBytesAt = 48, kTextBytesAt = 50;
inline constexpr std::size_t kMaxNamePacketBytes = 1024;
inline constexpr std::size_t kMaxRegisteredNameBytes = 128;
inline constexpr std::size_t kMaxTextBytes = kMaxNamePacketBytes - kNameHeadBytes - kMaxRegisteredNameBytes;
inline constexpr std::uint32_t kMaxNameDescriptors = 3;  // segment, socket, pidfd

enum class NameKind : std::uint16_t {
  // in front of a channel at a path
  greeting = 1,  // port, 1 descriptor: the segment; the connection itself is the channel's socket

  // to the daemon, each answered under its number
  hello = 16,      // first of all: code is the lowest version that the program speaks, generation the highest
  enlist = 17,     // name, text (the program's own word on itself): the name is mine
  withdraw = 18,   // name: it is not any more
  resolve = 19,    // name, duration: who has it, once somebody does
  introduce = 20,  // name, generation, port, 2 descriptors: hand this port to whoever has the name
  watch = 21,      // name or a pattern with '*': tell me what becomes of it
  keep = 22,       // name, text (a label), duration, port, 2 descriptors: hold this for my successor
  reclaim = 23,    // name, duration: what my predecessor has left there
  drop = 24,       // name, text (a label, or empty for all): hold it no longer
  list = 25,       // a name or a pattern: who has which, and who is waited for

  // from the daemon
  welcome = 64,  // code is the version that both speak, pid the daemon's, uid and gid the program's
  done = 65,     // generation: of the name; code: how many followed
  refused = 66,  // code is an errno, text says why and what to do
  found = 67,    // answer to resolve: generation, and uid, gid, pid of the owner
  introduction =
      68,       // event: name, port, uid, gid, pid of the other side, 2 or 3 descriptors: the third its pidfd
  news = 69,    // event of a watch: name, code (NameNews), generation, uid, gid, pid
  kept = 70,    // before the done of a reclaim: text (the label), port, 2 descriptors
  listed = 71,  // before the done of a list: name, generation (0: nobody has it), uid, gid, pid, duration,
                // code: pending
};

enum class NameNews : std::uint32_t { appeared = 1, gone = 2, replaced = 3 };

struct NamePacket {
  NameKind kind = NameKind::hello;
  std::uint32_t number = 0;
  std::uint32_t code = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t pid = 0;
  std::uint32_t descriptor_count = 0;
  std::uint64_t generation = 0;
  std::uint64_t duration_ns = 0;
  std::optional<Attachment> port = {};
  std::string name = {};
  std::string text = {};
  friend bool operator==(const NamePacket&, const NamePacket&) = default;
};

enum class NameFault : std::uint8_t {
  none,
  no_packet,      // another size or another magic: something else talks here
  other_version,  // `version` says which
  malformed,      // a kind, count or field that this version does not have
};

/// Whether a service can have this name: 1 to kMaxRegisteredNameBytes letters, digits and `._-`, the first a
/// letter or a digit.
[[nodiscard]] bool is_registered_name(std::string_view name) noexcept;
/// The same with `*` for any run of them.
[[nodiscard]] bool is_name_pattern(std::string_view pattern) noexcept;
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name) noexcept;

/// The packet's bytes. A text that is too long is cut off; the rest must fit its kind.
[[nodiscard]] std::vector<std::byte> encode(const NamePacket& packet);

/// Reads a packet. Of another version than this one, `version` is set and nothing else, except that hello,
/// welcome and refused are laid out alike in every version, and are read. Throws std::bad_alloc.
[[nodiscard]] NameFault read_name_packet(std::span<const std::byte> bytes, NamePacket& out,
                                         std::uint16_t& version);

}  // namespace portolan::wire
