// SPDX-License-Identifier: Apache-2.0

// Attachment blocks to bytes and back.
#include "wire/attachments.hpp"

#include <algorithm>
#include <utility>

#include "wire/bytes.hpp"

namespace portolan::wire {
namespace {

constexpr std::size_t kGenerationAt = 0;
constexpr std::size_t kNumberAt = 8;
constexpr std::size_t kAttachmentCountAt = 16;
constexpr std::size_t kDescriptorCountAt = 20;
static_assert(kDescriptorCountAt + sizeof(std::uint32_t) == kAttachmentsHeadBytes);

constexpr std::size_t kKindAt = 0;
constexpr std::size_t kSideAt = 1;
constexpr std::size_t kTrustAt = 2;
constexpr std::size_t kAccessAt = 3;
constexpr std::size_t kWhereAt = 8;
constexpr std::size_t kChannelAt = 16;
constexpr std::size_t kSizeAt = 32;
static_assert(kChannelAt + sizeof(ChannelId) == kSizeAt);
static_assert(kSizeAt + sizeof(std::uint64_t) == kAttachmentBytes);
static_assert(kAttachmentsHeadBytes % 8 == 0 && kAttachmentBytes % 8 == 0);

using EntryBytes = std::array<std::byte, kAttachmentBytes>;

EntryBytes encode_entry(const Attachment& entry) noexcept {
  EntryBytes bytes{};
  put(bytes, kKindAt, static_cast<std::uint8_t>(entry.kind));
  put(bytes, kSideAt, static_cast<std::uint8_t>(entry.side));
  put(bytes, kTrustAt, static_cast<std::uint8_t>(entry.trust));
  put(bytes, kAccessAt, static_cast<std::uint8_t>(entry.access));
  put(bytes, kWhereAt, entry.kind == AttachmentKind::buffer ? entry.offset_bytes : entry.expected_generation);
  std::copy(entry.channel.begin(), entry.channel.end(), bytes.begin() + kChannelAt);
  put(bytes, kSizeAt, entry.size_bytes);
  return bytes;
}

bool size_fits(const Attachment& entry, std::uint64_t max_size_bytes) noexcept {
  switch (entry.kind) {
    case AttachmentKind::descriptor:
      return entry.size_bytes == 0;
    case AttachmentKind::buffer:
      if (entry.access != BufferAccess::view && entry.offset_bytes != 0) return false;
      return entry.offset_bytes <= max_size_bytes && entry.size_bytes <= max_size_bytes - entry.offset_bytes;
    case AttachmentKind::port:
    case AttachmentKind::large_body:
      return entry.size_bytes > 0 && entry.size_bytes <= max_size_bytes;
  }
  return false;
}

AttachmentFault decode_entry(const EntryBytes& bytes, const AttachmentLimits& limits,
                             Attachment& entry) noexcept {
  const auto kind = get<std::uint8_t>(bytes, kKindAt);
  if (kind < static_cast<std::uint8_t>(AttachmentKind::port) ||
      kind > static_cast<std::uint8_t>(AttachmentKind::buffer)) {
    return AttachmentFault::unknown_kind;
  }
  const auto side = get<std::uint8_t>(bytes, kSideAt);
  const auto trust = get<std::uint8_t>(bytes, kTrustAt);
  const auto access = get<std::uint8_t>(bytes, kAccessAt);
  if (side > 1 || trust > 1 || access > static_cast<std::uint8_t>(BufferAccess::view))
    return AttachmentFault::wrong_field;
  entry.kind = static_cast<AttachmentKind>(kind);
  entry.size_bytes = get<std::uint64_t>(bytes, kSizeAt);
  // Only what the kind has a use for is taken; what differs afterwards stood where zeros belong.
  if (entry.kind == AttachmentKind::port) {
    entry.side = static_cast<Side>(side);
    entry.trust = static_cast<TrustLevel>(trust);
    entry.expected_generation = get<std::uint64_t>(bytes, kWhereAt);
    std::copy_n(bytes.begin() + kChannelAt, entry.channel.size(), entry.channel.begin());
  } else if (entry.kind == AttachmentKind::buffer) {
    entry.access = static_cast<BufferAccess>(access);
    entry.offset_bytes = get<std::uint64_t>(bytes, kWhereAt);
  }
  if (encode_entry(entry) != bytes) return AttachmentFault::wrong_field;
  return size_fits(entry, limits.max_size_bytes) ? AttachmentFault::none : AttachmentFault::wrong_size;
}

AttachmentFault read_entries(std::span<const std::byte> bytes, std::size_t count,
                             const AttachmentLimits& limits, std::vector<Attachment>& entries) {
  entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Attachment entry;
    const auto copy = load_once<kAttachmentBytes>(bytes.subspan(i * kAttachmentBytes, kAttachmentBytes));
    if (const AttachmentFault fault = decode_entry(copy, limits, entry); fault != AttachmentFault::none)
      return fault;
    if (entry.kind == AttachmentKind::large_body && i != 0) return AttachmentFault::misplaced_body;
    entries.push_back(entry);
  }
  return AttachmentFault::none;
}

AttachmentFault read_block(std::span<const std::byte> frame, const AttachmentLimits& limits,
                           Attachments& block) {
  if (frame.size() < kAttachmentsHeadBytes) return AttachmentFault::too_short;
  const auto head = load_once<kAttachmentsHeadBytes>(frame);
  block.generation = get<std::uint64_t>(head, kGenerationAt);
  block.number = get<std::uint64_t>(head, kNumberAt);
  block.descriptor_count = get<std::uint32_t>(head, kDescriptorCountAt);
  const std::size_t count = get<std::uint32_t>(head, kAttachmentCountAt);
  if (count > limits.max_attachments) return AttachmentFault::too_many;
  if (block.number == 0) return AttachmentFault::wrong_number;
  if (frame.size() < attachments_bytes(count)) return AttachmentFault::too_short;
  const AttachmentFault fault =
      read_entries(frame.subspan(kAttachmentsHeadBytes), count, limits, block.entries);
  if (fault != AttachmentFault::none) return fault;
  return count_descriptors(block.entries) == block.descriptor_count ? AttachmentFault::none
                                                                    : AttachmentFault::wrong_count;
}

}  // namespace

std::uint32_t count_descriptors(std::span<const Attachment> entries) noexcept {
  std::uint32_t count = 0;
  for (const Attachment& entry : entries) count += descriptors_of(entry.kind);
  return count;
}

void write_attachments(std::span<std::byte> out, std::uint64_t generation, std::uint64_t number,
                       std::span<const Attachment> entries) noexcept {
  put(out, kGenerationAt, generation);
  put(out, kNumberAt, number);
  put(out, kAttachmentCountAt, static_cast<std::uint32_t>(entries.size()));
  put(out, kDescriptorCountAt, count_descriptors(entries));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const EntryBytes bytes = encode_entry(entries[i]);
    std::copy(bytes.begin(), bytes.end(), out.subspan(attachments_bytes(i)).begin());
  }
}

AttachmentFault read_attachments(std::span<const std::byte> frame, const AttachmentLimits& limits,
                                 Attachments& out) {
  out.entries.clear();
  const AttachmentFault fault = read_block(frame, limits, out);
  if (fault != AttachmentFault::none) out = {};
  return fault;
}

std::string_view describe(AttachmentFault fault) noexcept {
  switch (fault) {
    case AttachmentFault::none:
      return "it is as it should be";
    case AttachmentFault::too_short:
      return "the frame is shorter than its list of attachments";
    case AttachmentFault::too_many:
      return "the frame has more attachments than allowed";
    case AttachmentFault::wrong_count:
      return "attachments and descriptor count disagree";
    case AttachmentFault::wrong_number:
      return "the transfer has no number";
    case AttachmentFault::unknown_kind:
      return "an attachment is of an unknown kind";
    case AttachmentFault::wrong_field:
      return "an attachment has a field that its kind cannot have";
    case AttachmentFault::wrong_size:
      return "an attachment's size is not acceptable";
    case AttachmentFault::misplaced_body:
      return "a large body is not the first attachment";
  }
  return "unknown";
}

}  // namespace portolan::wire
