// SPDX-License-Identifier: Apache-2.0

// A channel's memory in this process: its file, its control page, and each direction's blocks once they are
// used.
//
// Ports and kept messages share it; it unmaps with the last of them. What the header says is read once, at
// birth or adoption, and never again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

#include <portolan/file_descriptor.hpp>
#include <portolan/trust.hpp>

#include "os/mapping.hpp"
#include "ring/block_store.hpp"
#include "ring/geometry.hpp"
#include "ring/layout.hpp"
#include "ring/reader.hpp"

namespace portolan::port {

// One direction's blocks, mapped at the first use.
class DirectionBlocks final : public ring::BlockStore {
 public:
  void place(int file, std::uint64_t offset_bytes, ring::Geometry geometry) noexcept;
  std::byte* map_blocks() noexcept override;
  bool allocate(ring::Run run) noexcept override;
  void punch(ring::Run run) noexcept;
  std::error_code error() const noexcept { return error_; }
  os::Mapping& mapping() noexcept { return mapping_; }

 private:
  int file_ = -1;
  std::uint64_t offset_bytes_ = 0;
  ring::Geometry geometry_;
  os::Mapping mapping_;
  std::error_code error_;
};

inline constexpr std::uint64_t kMostSegmentBytes = std::uint64_t{1} << 41;  // 1024 blocks of 1 GiB, twice
// What a peer of another trust may make this process map.
inline constexpr std::uint64_t kMostForeignSegmentBytes = (std::uint64_t{256} << 20) + ring::kControlBytes;

struct SegmentFault {
  std::error_code refused;  // set when it is this process's kernel that would not map it
  std::string text;         // else what is wrong with the file
};

// What is wrong with a header that another process wrote, as a private copy; empty if nothing is.
std::string check_header(const ring::Header& header, std::uint64_t file_bytes);

class Endpoint;
struct Parcel;

class Segment {
 public:
  // Null, with `fault` filled in, if the file is not the segment that was announced, or if the kernel would
  // not map it. The descriptor stays the caller's until it succeeds.
  static std::shared_ptr<Segment> map(Parcel& parcel, SegmentFault& fault);

  ring::ControlPage& page() noexcept { return *page_; }
  ring::Geometry geometry() const noexcept { return geometry_; }
  ring::ChannelId id() const noexcept { return id_; }
  Trust trust() const noexcept { return trust_; }
  std::uint64_t limit_bytes() const noexcept { return limit_bytes_; }
  const std::string& label() const noexcept { return label_; }
  std::uint64_t bytes() const noexcept { return geometry_.segment_bytes(); }
  // Maps all blocks that the adoption of this end will look at, if there are any.
  std::error_code map_used_blocks(ring::Side side) noexcept;
  DirectionBlocks& blocks(ring::Side writer) noexcept { return blocks_[static_cast<std::size_t>(writer)]; }
  ring::DirectionLines& lines(ring::Side writer) noexcept {
    return page_->direction[static_cast<std::size_t>(writer)];
  }
  int file() const noexcept { return file_.get(); }
  FileDescriptor take_file() noexcept { return std::move(file_); }
  // As either end has told it; empty if none has.
  std::string name_of_type(std::uint32_t fingerprint) const;

  // The address keeps its bytes, as a private copy, whatever the channel's next owner does to the memory.
  std::error_code privatise(const std::byte* begin, std::uint64_t bytes) noexcept;
  // The addresses made private show the shared memory again.
  void share_again() noexcept;
  // The endpoint whose ring kept messages are of; null while the ring is another process's, and after its
  // end.
  void set_owner(Endpoint* owner) noexcept;
  // Nobody holds some extent any more. Any thread.
  void hand_back_kept() noexcept;
  // Extents that kept messages still point into, of a reader that is gone.
  void keep_extents(std::list<ring::Extent> extents) noexcept {
    kept_extents_.splice(kept_extents_.end(), extents);
  }
  // In a forked child the mappings are not there, and what is at their addresses may be somebody else's.
  void forget() noexcept;

 private:
  explicit Segment(os::Mapping control) noexcept;

  FileDescriptor file_;
  os::Mapping control_;
  ring::ControlPage* page_;
  ring::Geometry geometry_;
  ring::ChannelId id_;
  Trust trust_ = Trust::same_user;
  std::uint64_t limit_bytes_ = 0;
  std::string label_;
  DirectionBlocks blocks_[2];
  std::uint32_t fork_generation_;
  std::mutex owner_mutex_;
  Endpoint* owner_ = nullptr;
  std::list<ring::Extent> kept_extents_;
};

}  // namespace portolan::port
