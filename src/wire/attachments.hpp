// SPDX-License-Identifier: Apache-2.0

// What travels with a frame besides its bytes: a block in front of the payload that says, in list order, what
// the descriptors of the packet of the same generation and number are. 24 bytes, then 40 for each attachment.
//   head   0 generation  8 number  16 attachment count  20 descriptor count
//   entry  0 kind  1 side  2 trust  3 access  4 zero  8 expected generation, or a buffer's offset
//          16 channel id  32 size
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace portolan::wire {

using ChannelId = std::array<std::byte, 16>;

inline constexpr std::size_t kAttachmentsHeadBytes = 24;
inline constexpr std::size_t kAttachmentBytes = 40;
inline constexpr std::uint32_t kMaxForeignAttachments =
    16;  // as dbus; a foreign peer has no honest use for more

enum class AttachmentKind : std::uint8_t {
  port = 1,        // two descriptors: segment, socket
  descriptor = 2,  // one, of any kind
  large_body =
      3,       // one: the immutable file that holds this message's payload; first in the list and only once
  buffer = 4,  // one: a SharedBuffer's file
};
enum class Side : std::uint8_t { a = 0, b = 1 };
enum class TrustLevel : std::uint8_t { same_user = 0, foreign = 1 };
enum class BufferAccess : std::uint8_t {
  read_only = 0,   // all of a file that nobody can write
  read_write = 1,  // all of a file, which is the receiver's now
  shared = 2,      // all of a file, which the sender keeps as well
  view = 3,        // a part of a file that nobody can write
};

/// Fields that a kind has no use for are zero in the block, and reading insists on it.
struct Attachment {
  AttachmentKind kind = AttachmentKind::descriptor;
  Side side = Side::a;                            // port
  TrustLevel trust = TrustLevel::same_user;       // port
  BufferAccess access = BufferAccess::read_only;  // buffer
  std::uint64_t expected_generation = 0;          // port
  std::uint64_t offset_bytes = 0;                 // view: where it starts in the file
  ChannelId channel{};                            // port
  std::uint64_t size_bytes = 0;                   // port: its segment; large_body, buffer: the bytes in view
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

struct Attachments {
  std::uint64_t generation = 0;
  std::uint64_t number = 0;
  std::uint32_t descriptor_count = 0;
  std::vector<Attachment> entries;
  friend bool operator==(const Attachments&, const Attachments&) = default;
};

/// Bounds of the reader. `max_size_bytes` holds for offset + size of every entry.
struct AttachmentLimits {
  std::uint32_t max_attachments;
  std::uint64_t max_size_bytes;
};

enum class AttachmentFault : std::uint8_t {
  none,
  too_short,     // the frame ends before the block does
  too_many,      // more entries than the limit
  wrong_count,   // descriptor count and entries disagree
  wrong_number,  // transfers are numbered from 1
  unknown_kind,
  wrong_field,     // a value that the field does not have, or something where zeros belong
  wrong_size,      // a port or body of nothing, or more than the limit
  misplaced_body,  // a large body that is not the first entry
};

[[nodiscard]] constexpr std::uint32_t descriptors_of(AttachmentKind kind) noexcept {
  return kind == AttachmentKind::port ? 2 : 1;
}

/// Descriptors that these entries take.
[[nodiscard]] std::uint32_t count_descriptors(std::span<const Attachment> entries) noexcept;

/// The block's size; a multiple of 8, so what follows it in a frame is aligned as the block is.
[[nodiscard]] constexpr std::size_t attachments_bytes(std::size_t attachment_count) noexcept {
  return kAttachmentsHeadBytes + attachment_count * kAttachmentBytes;
}

/// Writes the block to the beginning of `out`, which has attachments_bytes(entries.size()). The descriptor
/// count is counted here.
void write_attachments(std::span<std::byte> out, std::uint64_t generation, std::uint64_t number,
                       std::span<const Attachment> entries) noexcept;

/// Reads the block at the beginning of a frame's bytes. They may be shared memory that changes meanwhile:
/// every byte is loaded once, and the copy is checked. On a fault `out` is empty. Throws std::bad_alloc only,
/// and not if `out.entries` has room.
[[nodiscard]] AttachmentFault read_attachments(std::span<const std::byte> frame,
                                               const AttachmentLimits& limits, Attachments& out);

/// The fault in words, for a protocol error's text.
[[nodiscard]] std::string_view describe(AttachmentFault fault) noexcept;

}  // namespace portolan::wire
