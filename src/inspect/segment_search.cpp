// SPDX-License-Identifier: Apache-2.0

#include "inspect/segment_search.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/process_table.hpp"

namespace portolan::inspect {
namespace {

constexpr std::string_view kLinkText = "/memfd:portolan (deleted)";
constexpr int kSegmentSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::string descriptor_path(int pid, const char* directory, int number) {
  return "/proc/" + std::to_string(pid) + "/" + directory + "/" + std::to_string(number);
}

// All memory files lie on one mount of the kernel's own. A file elsewhere can have the same name, and its
// file system can belong to anybody: it is told apart here without a question to it.
std::string memory_mount() {
  const FileDescriptor sample(::memfd_create("portolan-look", MFD_CLOEXEC));
  return field_of(read_text(descriptor_path(::getpid(), "fdinfo", sample.get())), "mnt_id");
}

bool is_named_as_segment(const std::string& path) noexcept {
  std::array<char, 64> target;
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == kLinkText;
}

class Finder {
 public:
  explicit Finder(Search& search) : search_(search), mount_(memory_mount()) {}

  void look_at(int pid) {
    const auto descriptors = descriptors_of(pid);
    if (!descriptors) {
      ++search_.unreadable_processes;
      return;
    }
    ProcessStatus status;
    for (const int number : *descriptors) {
      const std::string path = descriptor_path(pid, "fd", number);
      if (!is_named_as_segment(path)) continue;
      const std::string info = read_text(descriptor_path(pid, "fdinfo", number));
      const auto flags = std::strtoul(field_of(info, "flags").c_str(), nullptr, 8);
      if (field_of(info, "mnt_id") != mount_ || (flags & O_ACCMODE) != O_RDWR) continue;
      FoundSegment* const segment = open_once(path);
      if (segment == nullptr) continue;
      if (status.pids.empty()) status = status_of(pid);
      if (segment->holders.empty() || segment->holders.back().pid != pid)
        segment->holders.push_back({pid, status.name, status.uid, status.pids, 0});
      ++segment->holders.back().descriptors;
    }
  }

 private:
  // Null: no segment, or gone meanwhile.
  FoundSegment* open_once(const std::string& path) {
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return nullptr;
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & kSegmentSeals) != kSegmentSeals) return nullptr;
    if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0) return nullptr;
    struct stat about {};
    if (::fstat(file.get(), &about) != 0 || about.st_size < 0) return nullptr;
    const auto [place, first] = by_inode_.try_emplace(about.st_ino, search_.segments.size());
    if (first)
      search_.segments.push_back(
          {about.st_ino, static_cast<std::uint64_t>(about.st_size), std::move(file), {}});
    return &search_.segments[place->second];
  }

  Search& search_;
  std::string mount_;
  std::map<std::uint64_t, std::size_t> by_inode_;
};

}  // namespace

Search find_segments() {
  Search search;
  Finder finder(search);
  const int self = ::getpid();
  for (const int pid : all_processes())
    if (pid != self) finder.look_at(pid);
  return search;
}

std::uint64_t memory_bytes(const FileDescriptor& file) noexcept {
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return 0;
  return static_cast<std::uint64_t>(about.st_blocks) * 512;
}

std::vector<Part> parts_with_memory(const FileDescriptor& file, std::size_t most) {
  std::vector<Part> parts;
  for (off_t at = 0; parts.size() < most;) {
    const off_t begin = ::lseek(file.get(), at, SEEK_DATA);
    if (begin < 0) break;
    at = ::lseek(file.get(), begin, SEEK_HOLE);
    if (at <= begin) break;
    parts.push_back({static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(at - begin)});
  }
  return parts;
}

}  // namespace portolan::inspect
