// SPDX-License-Identifier: Apache-2.0

#include "inspect/control_snapshot.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "inspect/shown_text.hpp"
#include "ring/name_table.hpp"

namespace portolan::inspect {
namespace {

// The copy is private and has no alignment that the layout's atomics would need: words come out of it by
// their offsets.
template <class T>
T word_at(ControlPageBytes page, std::size_t offset) noexcept {
  T value{};
  std::memcpy(&value, page.data() + offset, sizeof value);
  return value;
}

constexpr std::uint8_t kForeign = 1;

std::string check(const ring::Header& header, std::uint64_t file_bytes) {
  if (header.magic != ring::kMagic) return "it is another program's file";
  if (header.layout_version != ring::kLayoutVersion)
    return "its layout version is " + std::to_string(header.layout_version) + ", this command reads " +
           std::to_string(ring::kLayoutVersion);
  const ring::Geometry geometry{header.block_bytes, header.block_count};
  const bool agrees = ring::Geometry::plausible(header.block_bytes, header.block_count) &&
                      geometry.segment_bytes() == file_bytes && header.segment_bytes == file_bytes &&
                      header.trust <= kForeign;
  return agrees ? std::string() : "its header contradicts itself";
}

ring::BlockBits map_at(ControlPageBytes page, std::size_t offset) noexcept {
  ring::BlockBits bits;
  for (std::size_t i = 0; i < ring::kMaxBlocks / 64; ++i)
    bits.word(i) = word_at<std::uint64_t>(page, offset + i * sizeof(std::uint64_t));
  return bits;
}

std::vector<TypeName> names_at(ControlPageBytes page, std::size_t offset, std::uint32_t stated_bytes) {
  std::vector<TypeName> names;
  const std::size_t used_bytes = std::min<std::size_t>(stated_bytes, ring::kNameTableBytes);
  const char* const begin = reinterpret_cast<const char*>(page.data() + offset);
  for (std::size_t at = 0; used_bytes - at >= ring::kNameHeadBytes;) {
    const std::size_t letters = static_cast<unsigned char>(begin[at + 4]);
    if (used_bytes - at - ring::kNameHeadBytes < letters) break;
    names.push_back({word_at<std::uint32_t>(page, offset + at),
                     shown_text({begin + at + ring::kNameHeadBytes, letters})});
    at += ring::kNameHeadBytes + letters;
  }
  return names;
}

DirectionSnapshot direction_at(ControlPageBytes page, std::size_t base, std::uint32_t block_count) {
  const auto word = [&](std::size_t offset) { return word_at<std::uint64_t>(page, base + offset); };
  const auto half = [&](std::size_t offset) { return word_at<std::uint32_t>(page, base + offset); };
  constexpr std::size_t kReader = offsetof(ring::DirectionLines, reader);
  constexpr std::size_t kProgress = kReader + offsetof(ring::ReaderLine, progress);
  constexpr std::size_t kPosted = offsetof(ring::WriterLine, posted);
  DirectionSnapshot direction;
  direction.extent_place = word(offsetof(ring::WriterLine, extent));
  direction.intent_run = word(offsetof(ring::WriterLine, intent));
  direction.announced_transfers = word(offsetof(ring::WriterLine, next_transfer));
  direction.posted_messages = word(kPosted);
  direction.posted_bytes = word(kPosted + 8);
  direction.posted_large_bytes = word(offsetof(ring::WriterLine, large_bytes));
  direction.writer_fences = half(offsetof(ring::WriterLine, unfenced)) == 0;
  direction.cursor_place = word(kProgress);
  direction.handed_messages = word(kProgress + 8);
  direction.read_messages = word(kProgress + 16);
  direction.read_bytes = word(kProgress + 24);
  direction.read_large_bytes = word(kReader + offsetof(ring::ReaderLine, large_bytes));
  direction.taken_transfers = word(kReader + offsetof(ring::ReaderLine, taken_transfer));
  direction.hand_backs =
      half(offsetof(ring::DirectionLines, reader_sleep) + offsetof(ring::SleepLine, release_count));
  direction.reader_sleep = ring::sleep_state(word(offsetof(ring::DirectionLines, reader_sleep)));
  direction.writer_sleep = ring::sleep_state(word(offsetof(ring::DirectionLines, writer_sleep)));
  const ring::BlockBits free_blocks =
      ring::equal_blocks(map_at(page, base + offsetof(ring::DirectionLines, alloc)),
                         map_at(page, base + offsetof(ring::DirectionLines, rel)));
  direction.blocks_taken = block_count - free_blocks.count(block_count);
  direction.type_names = names_at(page, base + offsetof(ring::DirectionLines, names),
                                  half(offsetof(ring::WriterLine, name_bytes)));
  return direction;
}

EndSnapshot end_at(ControlPageBytes page, std::size_t side) noexcept {
  const std::size_t line = offsetof(ring::ControlPage, endpoint) + side * sizeof(ring::EndpointLine);
  const std::size_t generation =
      offsetof(ring::ControlPage, generation) + side * sizeof(ring::GenerationLine);
  return {word_at<std::uint64_t>(page, generation),
          word_at<std::uint32_t>(page, line + offsetof(ring::EndpointLine, closed)),
          word_at<std::uint32_t>(page, line + offsetof(ring::EndpointLine, owner_pid)),
          word_at<std::uint64_t>(page, line + offsetof(ring::EndpointLine, adoption_count))};
}

std::uint64_t ahead(std::uint64_t posted, std::uint64_t read) noexcept {
  return posted > read ? posted - read : 0;
}

}  // namespace

std::uint64_t DirectionSnapshot::unread_messages() const noexcept {
  return ahead(posted_messages, read_messages);
}

std::uint64_t DirectionSnapshot::unread_bytes() const noexcept {
  return ahead(posted_bytes, read_bytes) + ahead(posted_large_bytes, read_large_bytes);
}

std::uint64_t DirectionSnapshot::unread_transfers() const noexcept {
  return ahead(announced_transfers, taken_transfers);
}

std::string read_control(ControlPageBytes page, std::uint64_t file_bytes, ControlSnapshot& into) {
  const auto header = word_at<ring::Header>(page, 0);
  if (std::string fault = check(header, file_bytes); !fault.empty()) return fault;
  into.id = header.id;
  into.foreign = header.trust == kForeign;
  into.creator_pid = header.creator_pid;
  into.segment_bytes = header.segment_bytes;
  into.limit_bytes = header.limit_bytes;
  into.geometry = {header.block_bytes, header.block_count};
  into.label = shown_text({header.label, ::strnlen(header.label, sizeof header.label)});
  for (std::size_t side = 0; side < 2; ++side) {
    into.end[side] = end_at(page, side);
    into.direction[side] =
        direction_at(page, offsetof(ring::ControlPage, direction) + side * sizeof(ring::DirectionLines),
                     header.block_count);
  }
  std::copy(page.begin(), page.end(), into.page.begin());
  return {};
}

std::string to_text(const ring::ChannelId& id) {
  std::array<char, 33> text;
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(id.high),
                static_cast<unsigned long long>(id.low));
  return text.data();
}

}  // namespace portolan::inspect
