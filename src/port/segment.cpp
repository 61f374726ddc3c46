// SPDX-License-Identifier: Apache-2.0

#include "port/segment.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "os/fork_watch.hpp"
#include "os/memory_file.hpp"
#include "port/endpoint.hpp"
#include "ring/name_table.hpp"
#include "wire/bytes.hpp"

namespace portolan::port {

std::string check_header(const ring::Header& header, std::uint64_t file_bytes) {
  if (header.magic != ring::kMagic) return "its segment is a file of another program";
  if (header.layout_version != ring::kLayoutVersion)
    return "its layout version is " + std::to_string(header.layout_version) + ", this library has " +
           std::to_string(ring::kLayoutVersion);
  const ring::Geometry geometry{header.block_bytes, header.block_count};
  if (!ring::Geometry::plausible(header.block_bytes, header.block_count) ||
      geometry.segment_bytes() != file_bytes || header.segment_bytes != file_bytes ||
      header.trust > static_cast<std::uint8_t>(Trust::foreign))
    return "its segment's header contradicts itself";
  if (header.trust == static_cast<std::uint8_t>(Trust::foreign) && file_bytes > kMostForeignSegmentBytes)
    return "its segment is larger than one with Trust::foreign may be";
  return {};
}

void DirectionBlocks::place(int file, std::uint64_t offset_bytes, ring::Geometry geometry) noexcept {
  file_ = file;
  offset_bytes_ = offset_bytes;
  geometry_ = geometry;
}

std::byte* DirectionBlocks::map_blocks() noexcept {
  if (!mapping_)
    mapping_ = os::Mapping::try_map(file_, os::Mapping::Access::read_write, offset_bytes_,
                                    geometry_.direction_bytes(), error_);
  return mapping_ ? mapping_.bytes().data() : nullptr;
}

bool DirectionBlocks::allocate(ring::Run run) noexcept {
  error_ = os::allocate(file_, offset_bytes_ + run.block * geometry_.block_bytes,
                        run.count * geometry_.block_bytes);
  return !error_;
}

void DirectionBlocks::punch(ring::Run run) noexcept {
  // A refusal leaves the memory in use: nothing else depends on it.
  static_cast<void>(
      os::punch(file_, offset_bytes_ + run.block * geometry_.block_bytes, run.count * geometry_.block_bytes));
}

namespace {

// The other end may have written it last, on another CPU: what an adoption looks at comes all at once, and
// not a line after the other.
void fetch(const ring::ControlPage& page) noexcept {
  const auto lines = [](const void* from, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += ring::kLineBytes)
      __builtin_prefetch(static_cast<const std::byte*>(from) + at);
  };
  lines(page.generation, sizeof page.generation + sizeof page.endpoint);
  for (const ring::DirectionLines& direction : page.direction) {
    lines(&direction, offsetof(ring::DirectionLines, names));
    lines(direction.first_extent, 2 * ring::kLineBytes);
  }
}

}  // namespace

Segment::Segment(os::Mapping control) noexcept
    : control_(std::move(control)),
      page_(std::launder(reinterpret_cast<ring::ControlPage*>(control_.bytes().data()))),
      fork_generation_(os::fork_generation()) {}

std::shared_ptr<Segment> Segment::map(Parcel& parcel, SegmentFault& fault) {
  std::uint64_t file_bytes = parcel.segment_bytes;
  if (!parcel.inspected) {
    const os::FileInspection found = os::inspect_file(parcel.segment.get(), os::FileRole::segment,
                                                      {ring::kControlBytes, kMostSegmentBytes});
    if (!found) {
      fault.text = "its segment is none: " + std::string(os::describe(found.fault));
      return nullptr;
    }
    file_bytes = found.size_bytes;
  }
  os::Mapping control = os::Mapping::try_map(parcel.segment.get(), os::Mapping::Access::read_write, 0,
                                             ring::kControlBytes, fault.refused, os::Mapping::Pages::at_once);
  if (!control) return nullptr;
  // One copy, then checks on the copy: the other end may be writing it.
  const auto header = std::bit_cast<ring::Header>(wire::load_once<sizeof(ring::Header)>(control.bytes()));
  fetch(*std::launder(reinterpret_cast<const ring::ControlPage*>(control.bytes().data())));
  fault.text = check_header(header, file_bytes);
  if (fault.text.empty() && header.id != parcel.channel)
    fault.text = "its segment belongs to another channel";
  if (fault.text.empty() && static_cast<Trust>(header.trust) != parcel.trust)
    fault.text = "its Trust is another one than was announced";
  if (!fault.text.empty()) return nullptr;
  std::shared_ptr<Segment> segment(new Segment(std::move(control)));
  const ring::Geometry geometry{header.block_bytes, header.block_count};
  segment->geometry_ = geometry;
  segment->id_ = header.id;
  segment->trust_ = static_cast<Trust>(header.trust);
  segment->limit_bytes_ = geometry.direction_bytes();
  segment->label_.assign(header.label, strnlen(header.label, sizeof header.label));
  segment->file_ = std::move(parcel.segment);  // nothing fails any more
  for (const ring::Side side : {ring::Side::a, ring::Side::b})
    segment->blocks(side).place(segment->file(), geometry.direction_offset(side), geometry);
  return segment;
}

std::error_code Segment::map_used_blocks(ring::Side side) noexcept {
  const ring::Side other = ring::other(side);
  // [A19] relaxed; pairs with [W6]: nobody owns the endpoint between here and the swap that succeeds.
  if (lines(side).writer.intent.load(std::memory_order_relaxed) != 0 && blocks(side).map_blocks() == nullptr)
    return blocks(side).error();
  // [A20] relaxed; pairs with [R4]: as [A19].
  const ring::Location cursor{lines(other).reader.progress.cursor.load(std::memory_order_relaxed)};
  if (cursor.run() != ring::kFirstExtent && blocks(other).map_blocks() == nullptr)
    return blocks(other).error();
  return {};
}

std::error_code Segment::privatise(const std::byte* begin, std::uint64_t bytes) noexcept {
  for (os::Mapping* mapping : {&control_, &blocks_[0].mapping(), &blocks_[1].mapping()}) {
    const std::span<std::byte> all = mapping->bytes();
    if (begin < all.data() || begin >= all.data() + all.size()) continue;
    return mapping->replace_with_private_copy(static_cast<std::size_t>(begin - all.data()), bytes);
  }
  return {};
}

void Segment::share_again() noexcept {
  control_.restore(file_.get());
  for (DirectionBlocks& blocks : blocks_) blocks.mapping().restore(file_.get());
}

void Segment::set_owner(Endpoint* owner) noexcept {
  const std::lock_guard lock(owner_mutex_);
  owner_ = owner;
}

void Segment::hand_back_kept() noexcept {
  // In a forked child the ring is not there, and another thread of the parent may have held the lock.
  if (os::forked_since(fork_generation_)) return;
  const std::lock_guard lock(owner_mutex_);
  if (owner_ != nullptr) owner_->hand_back_kept();
}

std::string Segment::name_of_type(std::uint32_t fingerprint) const {
  for (const ring::DirectionLines& direction : page_->direction) {
    const ring::NameList told(direction);
    const std::span<const std::byte> name = told.find(fingerprint);
    // A peer wrote it, and it goes into a text for people.
    std::string shown(name.size(), '?');
    std::transform(name.begin(), name.end(), shown.begin(), [](std::byte letter) {
      return letter >= std::byte{' '} && letter < std::byte{0x7f} ? static_cast<char>(letter) : '?';
    });
    if (!shown.empty()) return shown;
  }
  return {};
}

void Segment::forget() noexcept {
  file_.reset();
  control_.forget();
  for (DirectionBlocks& blocks : blocks_) blocks.mapping().forget();
}

}  // namespace portolan::port
