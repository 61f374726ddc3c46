// SPDX-License-Identifier: Apache-2.0

#include "inspect/core_dump.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <set>
#include <span>
#include <stdexcept>
#include <string_view>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "inspect/recorder.hpp"
#include "inspect/shown_text.hpp"
#include "os/memory_file.hpp"

namespace portolan::inspect {
namespace {

constexpr std::string_view kSegmentName = "/memfd:portolan (deleted)";
constexpr std::uint64_t kMostNoteBytes = 64 << 20;
constexpr std::size_t kCopyBytes = 64 << 10;

// A part of the process's memory, and where it lies in the dump.
struct Load {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
};

// A part of some segment that the process had mapped.
struct Mapped {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::uint64_t file_offset = 0;
  // The same for all parts of one mapping.
  std::uint64_t base() const noexcept { return address - file_offset; }
};

std::uint64_t rounded_up_4(std::uint64_t bytes) noexcept {
  return (bytes + 3) & ~std::uint64_t{3};
}

class CoreDump {
 public:
  explicit CoreDump(const std::string& path)
      : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat about {};
    if (!file_ || ::fstat(file_.get(), &about) != 0) refuse("cannot be read");
    if (!S_ISREG(about.st_mode)) refuse("is no file");
    Elf64_Ehdr head{};
    if (!take(0, head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_type != ET_CORE ||
        head.e_phentsize != sizeof(Elf64_Phdr))
      refuse("is no core dump of a 64-bit process");
    std::uint64_t count = head.e_phnum;
    Elf64_Shdr first{};
    if (count == PN_XNUM && take(head.e_shoff, first)) count = first.sh_info;
    for (std::uint64_t i = 0; i < count; ++i) {
      Elf64_Phdr part{};
      if (!take(head.e_phoff + i * sizeof part, part)) break;
      if (part.p_type == PT_LOAD) loads_.push_back({part.p_vaddr, part.p_filesz, part.p_offset});
      if (part.p_type == PT_NOTE)
        read_notes(part.p_offset, std::min<std::uint64_t>(part.p_filesz, kMostNoteBytes));
    }
    owner_.pids.push_back(static_cast<std::uint32_t>(owner_.pid));
    owner_.descriptors = 2;
  }

  const std::vector<Mapped>& mapped() const noexcept { return mapped_; }
  const Holder& owner() const noexcept { return owner_; }
  [[noreturn]] void refuse(const std::string& why) const { throw std::runtime_error(path_ + " " + why); }

  // Copies what the dump has of [address, address + bytes) to `offset` of a file; false if it has none of it.
  bool copy(std::uint64_t address, std::uint64_t bytes, const FileDescriptor& into,
            std::uint64_t offset) const {
    bool some = false;
    for (const Load& load : loads_) {
      const std::uint64_t begin = std::max(address, load.address);
      const std::uint64_t end = std::min(address + bytes, load.address + load.bytes);
      if (load.address + load.bytes < load.address || begin >= end) continue;
      copy_range(load.offset + (begin - load.address), end - begin, into, offset + (begin - address));
      some = true;
    }
    return some;
  }

 private:
  template <class T>
  bool take(std::uint64_t at, T& into) const {
    return !os::read_at(file_.get(), std::as_writable_bytes(std::span(&into, 1)), at);
  }

  // Holes stay holes.
  void copy_range(std::uint64_t from, std::uint64_t bytes, const FileDescriptor& into,
                  std::uint64_t to) const {
    std::vector<std::byte> piece(kCopyBytes);
    for (std::uint64_t done = 0; done < bytes;) {
      const off_t data = ::lseek(file_.get(), static_cast<off_t>(from + done), SEEK_DATA);
      if (data < 0) return;
      done = static_cast<std::uint64_t>(data) - from;
      if (done >= bytes) return;
      const auto part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), bytes - done));
      if (os::read_at(file_.get(), part, from + done)) return;
      const bool empty =
          std::all_of(part.begin(), part.end(), [](std::byte each) { return each == std::byte{0}; });
      if (!empty && os::write_all(into.get(), part, to + done)) return;
      done += part.size();
    }
  }

  void read_notes(std::uint64_t offset, std::uint64_t bytes) {
    std::vector<std::byte> notes(bytes);
    if (os::read_at(file_.get(), notes, offset)) return;
    for (std::uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes;) {
      Elf64_Nhdr note{};
      std::memcpy(&note, notes.data() + at, sizeof note);
      const std::uint64_t body = at + sizeof note + rounded_up_4(note.n_namesz);
      if (body > bytes || note.n_descsz > bytes - body) return;
      const std::span text(notes.data() + body, note.n_descsz);
      if (note.n_type == NT_FILE) read_files(text);
      if (note.n_type == NT_PRPSINFO) read_process(text);
      at = body + rounded_up_4(note.n_descsz);
    }
  }

  // A count, a page's size, a begin, end and page number of each, and then their names.
  void read_files(std::span<const std::byte> note) {
    const auto word = [&](std::uint64_t index) {
      std::uint64_t value = 0;
      if (8 * index + 8 <= note.size()) std::memcpy(&value, note.data() + 8 * index, sizeof value);
      return value;
    };
    const std::uint64_t count = word(0), page = word(1);
    if (count > note.size() / 24) return;
    std::size_t name_at = (2 + 3 * count) * 8;
    for (std::uint64_t i = 0; i < count && name_at < note.size(); ++i) {
      const auto* const letters = reinterpret_cast<const char*>(note.data()) + name_at;
      const std::string_view name(letters, ::strnlen(letters, note.size() - name_at));
      name_at += name.size() + 1;
      const std::uint64_t begin = word(2 + 3 * i), end = word(3 + 3 * i);
      if (name == kSegmentName && begin < end)
        mapped_.push_back({begin, end - begin, word(4 + 3 * i) * page});
    }
  }

  void read_process(std::span<const std::byte> note) {
    prpsinfo_t process{};
    std::memcpy(&process, note.data(), std::min(note.size(), sizeof process));
    owner_.pid = process.pr_pid;
    owner_.uid = process.pr_uid;
    owner_.name =
        shown_text(std::string_view(process.pr_fname, ::strnlen(process.pr_fname, sizeof process.pr_fname)));
  }

  std::string path_;
  FileDescriptor file_;
  std::vector<Load> loads_;
  std::vector<Mapped> mapped_;
  Holder owner_;
};

// Whether the direction's blocks are this channel's: from where its reader stands they lead to the last
// message that its writer has counted. Nothing else tells the mappings of two channels apart.
bool lead_to_the_last(const Channel& channel, ring::Side writer) {
  const std::uint64_t posted = channel.control.direction[static_cast<std::size_t>(writer)].posted_messages;
  const Recording recording =
      record(channel.segment.file, channel.control, writer, {.messages = 1, .body_bytes = 0});
  if (recording.messages.empty()) return false;
  const std::uint64_t last = recording.messages.back().number;
  return last == posted || last == posted + 1;  // it may have died between the two
}

void add_blocks(const CoreDump& dump, Channel& channel, ring::Side writer) {
  const ring::Geometry geometry = channel.control.geometry;
  const std::uint64_t from = geometry.direction_offset(writer), to = from + geometry.direction_bytes();
  std::set<std::uint64_t> bases;
  for (const Mapped& part : dump.mapped())
    if (part.file_offset >= from && part.file_offset < to) bases.insert(part.base());
  for (const std::uint64_t base : bases) {
    bool some = false;
    for (const Mapped& part : dump.mapped()) {
      if (part.base() != base || part.file_offset < from || part.file_offset >= to) continue;
      const std::uint64_t bytes = std::min(part.bytes, to - part.file_offset);
      some = dump.copy(part.address, bytes, channel.segment.file, part.file_offset) || some;
    }
    if (some && lead_to_the_last(channel, writer)) return;
    if (some) static_cast<void>(os::punch(channel.segment.file.get(), from, geometry.direction_bytes()));
  }
}

// Empty: what was wrong is in `unreadable`.
std::optional<Channel> read_channel(const CoreDump& dump, const Mapped& control, Channels& found) {
  const auto complain = [&](const std::string& why) {
    found.unreadable.push_back("memory file of pid " + std::to_string(dump.owner().pid) + ": " + why);
    return std::nullopt;
  };
  FileDescriptor file(::memfd_create("portolan-core", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), ring::kControlBytes) != 0) return complain("no memory to look at it");
  if (!dump.copy(control.address, ring::kControlBytes, file, 0))
    return complain("it is not in the dump; set bit 1 of /proc/PID/coredump_filter");
  std::array<std::byte, ring::kControlBytes> page{};
  ring::Header header{};
  if (os::read_at(file.get(), page, 0)) return complain("it cannot be read");
  std::memcpy(&header, page.data(), sizeof header);
  Channel channel;
  if (std::string fault = read_control(page, header.segment_bytes, channel.control); !fault.empty())
    return complain(fault);
  if (::ftruncate(file.get(), static_cast<off_t>(header.segment_bytes)) != 0)
    return complain("it is too large");
  channel.segment.file_bytes = header.segment_bytes;
  channel.segment.inode = control.address;
  channel.segment.file = std::move(file);
  channel.segment.holders.push_back(dump.owner());
  for (const ring::Side writer : {ring::Side::a, ring::Side::b}) add_blocks(dump, channel, writer);
  channel.end = locate_ends(channel.control, channel.segment.holders);
  // A core's descriptors are not counted: what is not in transit and not this process's is another's.
  for (const ring::Side side : {ring::Side::a, ring::Side::b}) {
    End& end = channel.end[static_cast<std::size_t>(side)];
    if (end.place == EndPlace::held && !channel.control.end[static_cast<std::size_t>(side)].in_transit())
      end = {EndPlace::elsewhere, std::nullopt};
  }
  channel.memory_bytes = memory_bytes(channel.segment.file);
  return channel;
}

}  // namespace

Channels read_core_dump(const std::string& path) {
  const CoreDump dump(path);
  Channels found;
  for (const Mapped& part : dump.mapped()) {
    if (part.file_offset != 0 || part.bytes < ring::kControlBytes) continue;
    std::optional<Channel> channel = read_channel(dump, part, found);
    if (!channel) continue;
    // Both ends in one process are two mappings of one channel.
    const auto known = std::find_if(found.channels.begin(), found.channels.end(), [&](const Channel& each) {
      return each.control.id == channel->control.id;
    });
    if (known == found.channels.end())
      found.channels.push_back(std::move(*channel));
    else if (known->memory_bytes < channel->memory_bytes)
      *known = std::move(*channel);
  }
  if (dump.mapped().empty()) dump.refuse("has no channel's memory; the process had mapped none");
  return found;
}

}  // namespace portolan::inspect
