// SPDX-License-Identifier: Apache-2.0

// What a tool makes of a segment in which a hostile peer has written what it likes.
#include <algorithm>
#include <array>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/target.hpp"
#include "inspect/control_snapshot.hpp"
#include "inspect/recorder.hpp"
#include "inspect/shown_text.hpp"
#include "ring/name_table.hpp"

namespace portolan::fuzz {
namespace {

constexpr ring::Geometry kGeometry{4096, 16};
constexpr inspect::RecordingLimits kLimits{.messages = 12, .body_bytes = 64, .after = 0};
constexpr std::size_t kPatchBytes = 3 + 8;

// The file of a channel that nobody has used; what was written into it goes again at the end.
class Segment {
 public:
  Segment() : file_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    FUZZ_HOLDS(::ftruncate(file_.get(), kGeometry.segment_bytes()) == 0);
    header_.magic = ring::kMagic;
    header_.layout_version = ring::kLayoutVersion;
    header_.segment_bytes = kGeometry.segment_bytes();
    header_.block_bytes = kGeometry.block_bytes;
    header_.block_count = kGeometry.block_count;
    put(0, std::as_bytes(std::span(&header_, 1)));
  }

  const FileDescriptor& file() const noexcept { return file_; }
  void patch(std::uint64_t at, std::span<const std::byte> bytes) {
    put(at, bytes);
    patched_.push_back(at);
  }
  void forget_patches() {
    constexpr std::array<std::byte, 8> kNothing{};
    for (const std::uint64_t at : patched_) put(at, kNothing);
    put(0, std::as_bytes(std::span(&header_, 1)));
    std::vector<std::uint64_t>().swap(patched_);
  }

 private:
  void put(std::uint64_t at, std::span<const std::byte> bytes) const {
    FUZZ_HOLDS(::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
               static_cast<ssize_t>(bytes.size()));
  }

  FileDescriptor file_;
  ring::Header header_{};
  std::vector<std::uint64_t> patched_;
};

bool is_fit_for_a_terminal(std::string_view shown) {
  return std::none_of(shown.begin(), shown.end(), [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f;
  });
}

// What whoever takes up the writing end makes of the names that the ones before have told.
void take_up_names(std::span<const std::byte> page, ring::Side writer) {
  alignas(ring::ControlPage) static std::array<std::byte, sizeof(ring::ControlPage)> copy;
  std::memcpy(copy.data(), page.data(), std::min(page.size(), copy.size()));
  auto& control = *reinterpret_cast<ring::ControlPage*>(copy.data());
  auto& lines = control.direction[static_cast<std::size_t>(writer)];
  constexpr std::array<std::byte, 3> kName{};
  constexpr std::uint32_t kNumber = 7;
  ring::NameTable table(lines);
  table.adopt();
  table.tell(kNumber, kName);
  FUZZ_HOLDS(table.told_last(kNumber));
  const ring::NameList list(lines);
  FUZZ_HOLDS(list.whole_bytes() <= ring::kNameTableBytes);
  FUZZ_HOLDS(list.find(kNumber).size() <= ring::kMostNameBytes);
}

bool look(const Segment& segment) {
  std::array<std::byte, ring::kControlBytes> page;
  FUZZ_HOLDS(::pread(segment.file().get(), page.data(), page.size(), 0) == ring::kControlBytes);
  inspect::ControlSnapshot control;
  if (!inspect::read_control(page, kGeometry.segment_bytes(), control).empty()) return false;
  bool found = false;
  for (const ring::Side writer : {ring::Side::a, ring::Side::b}) {
    const inspect::DirectionSnapshot& direction = control.direction[static_cast<std::size_t>(writer)];
    FUZZ_HOLDS(direction.blocks_taken <= kGeometry.block_count);
    FUZZ_HOLDS(direction.type_names.size() <= ring::kNameTableBytes / ring::kNameHeadBytes);
    for (const inspect::TypeName& type : direction.type_names) FUZZ_HOLDS(is_fit_for_a_terminal(type.name));
    take_up_names(page, writer);
    const inspect::Recording recording = inspect::record(segment.file(), control, writer, kLimits);
    FUZZ_HOLDS(recording.messages.size() <= kLimits.messages);
    for (const inspect::RecordedMessage& message : recording.messages) {
      FUZZ_HOLDS(message.body.size() <= kLimits.body_bytes);
      FUZZ_HOLDS(is_fit_for_a_terminal(
          inspect::shown_text({reinterpret_cast<const char*>(message.body.data()), message.body.size()})));
    }
    found = found || !recording.messages.empty();
  }
  return found;
}

void add_patch(Input& input, std::uint64_t at, std::uint64_t word) {
  const std::size_t begin = input.size();
  input.resize(begin + kPatchBytes);
  std::memcpy(input.data() + begin, &at, 3);
  std::memcpy(input.data() + begin + 3, &word, sizeof word);
}

}  // namespace

// Patches of 8 bytes: where in the file, and what. Whether a message was found.
bool read(std::span<const std::byte> input) {
  static Segment segment;
  for (; input.size() >= kPatchBytes; input = input.subspan(kPatchBytes)) {
    std::uint64_t at = 0;
    std::memcpy(&at, input.data(), 3);
    segment.patch(at % (kGeometry.segment_bytes() - 8), input.subspan(3, 8));
  }
  const bool found = look(segment);
  segment.forget_patches();
  return found;
}

std::vector<Input> seeds() {
  constexpr std::uint64_t kFirstExtent = offsetof(ring::ControlPage, direction) +
                                         offsetof(ring::DirectionLines, first_extent) +
                                         ring::kExtentHeadBytes;
  Input in_the_page, in_blocks, in_names;
  add_patch(in_the_page, kFirstExtent, ring::FrameHeader::message(13, 2, false, false).word());
  add_patch(in_blocks, kFirstExtent, ring::FrameHeader::jump({3, 2}).word());
  const std::uint64_t block = kGeometry.direction_offset(ring::Side::a) + 3 * kGeometry.block_bytes;
  add_patch(in_blocks, block + ring::kExtentHeadBytes, ring::FrameHeader::message(40, 1, true, false).word());
  add_patch(in_blocks, block + ring::kExtentHeadBytes + 48,
            ring::FrameHeader::message(16, 1, true, true).word());
  // Two names of one letter, one of which no terminal should see: unfenced is 0, and the length behind it.
  constexpr std::uint64_t kDirection = offsetof(ring::ControlPage, direction);
  add_patch(in_names,
            kDirection + offsetof(ring::DirectionLines, writer) + offsetof(ring::WriterLine, unfenced),
            std::uint64_t{2 * (ring::kNameHeadBytes + 1)} << 32U);
  add_patch(in_names, kDirection + offsetof(ring::DirectionLines, names), 0x0000'4101'0000'0007);
  add_patch(in_names, kDirection + offsetof(ring::DirectionLines, names) + 6, 0x0000'1b01'0000'0008);
  add_patch(in_names, kFirstExtent, ring::FrameHeader::message(5, 2, false, false).word());
  return {in_the_page, in_blocks, in_names};
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return (64 << 10) + 64 * input_bytes;
}

}  // namespace portolan::fuzz
