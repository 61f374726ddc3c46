// SPDX-License-Identifier: Apache-2.0

// Making memory files, and inspecting those that others made.
#include "os/memory_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/refusal.hpp"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3, and newer than some headers
#endif

namespace portolan::os {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr int kWriteSeals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
constexpr std::uint64_t kMaxOffset = INT64_MAX;

constexpr std::string_view kCure = "close descriptors, raise RLIMIT_NOFILE (ulimit -n) or free memory";

[[noreturn]] void refuse(std::string_view call) {
  throw_refusal(last_error(), call, "portolan", kCure);
}

FileDescriptor create(std::uint64_t size_bytes, const char* name = "portolan") {
  // NOEXEC_SEAL implies ALLOW_SEALING, but a kernel that does not know the one needs to be told the other.
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  FileDescriptor file(::memfd_create(name, kFlags | MFD_NOEXEC_SEAL));
  if (!file && errno == EINVAL) file.reset(::memfd_create(name, kFlags));
  if (!file) refuse("memfd_create");
  // Else whoever is given a read-only descriptor could open it again for writing through /proc.
  if (::fchmod(file.get(), S_IRUSR | S_IWUSR) != 0) refuse("fchmod");
  if (size_bytes > kMaxOffset) {
    errno = EFBIG;
    refuse("ftruncate");
  }
  if (::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) refuse("ftruncate");
  return file;
}

std::error_code change_range(int file, int mode, std::uint64_t offset, std::uint64_t size_bytes) noexcept {
  if (offset > kMaxOffset || size_bytes > kMaxOffset) return std::make_error_code(std::errc::file_too_large);
  for (;;) {
    if (::fallocate(file, mode, static_cast<off_t>(offset), static_cast<off_t>(size_bytes)) == 0) return {};
    if (errno != EINTR) return last_error();
  }
}

FileFault check_seals(int seals, FileRole role) noexcept {
  // A buffer's owner may still make it immutable, and nobody but its owner is harmed by another seal.
  const int wanted = role == FileRole::buffer ? F_SEAL_SHRINK | F_SEAL_GROW : kSizeSeals;
  if ((seals & wanted) != wanted) return FileFault::size_not_sealed;
  const bool fits =
      role == FileRole::immutable_body ? (seals & F_SEAL_WRITE) != 0 : (seals & kWriteSeals) == 0;
  return fits ? FileFault::none : FileFault::wrong_seals;
}

// What could not be asked of a file that has seals.
FileInspection untold(FileFault otherwise) noexcept {
  if (is_shortage()) return {FileFault::untold, 0, last_error()};
  return {otherwise, 0};
}

FileInspection ask_file_system(int file) noexcept {
  struct statfs system {};
  int result = -1;
  do {
    result = ::fstatfs(file, &system);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return untold(FileFault::not_tmpfs);
  return {system.f_type == TMPFS_MAGIC ? FileFault::none : FileFault::not_tmpfs, 0};
}

bool opened_for(int file, FileRole role) noexcept {
  const int flags = ::fcntl(file, F_GETFL);
  if (flags < 0) return false;
  const int access = flags & O_ACCMODE;
  return access == O_RDWR || (access == O_RDONLY && role == FileRole::immutable_body);
}

}  // namespace

std::size_t page_bytes() noexcept {
  static const auto kBytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return kBytes;
}

FileDescriptor create_segment_file(std::uint64_t size_bytes) {
  FileDescriptor file = create(size_bytes);
  if (::fcntl(file.get(), F_ADD_SEALS, kSizeSeals) != 0) refuse("fcntl(F_ADD_SEALS)");
  return file;
}

FileDescriptor create_body_file(std::uint64_t size_bytes) {
  return create(size_bytes);
}

FileDescriptor create_buffer_file(std::uint64_t size_bytes, std::string_view label) {
  constexpr std::size_t kMostLabelBytes = 63;  // as a channel's; the kernel would take 249 bytes in all
  std::string name = "portolan";
  if (!label.empty()) name.append(":").append(label.substr(0, kMostLabelBytes));
  FileDescriptor file = create(size_bytes, name.c_str());
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) refuse("fcntl(F_ADD_SEALS)");
  return file;
}

std::error_code allocate(int file, std::uint64_t offset, std::uint64_t size_bytes) noexcept {
  return change_range(file, 0, offset, size_bytes);
}

std::error_code punch(int file, std::uint64_t offset, std::uint64_t size_bytes) noexcept {
  return change_range(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size_bytes);
}

std::error_code write_all(int file, std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    if (written == 0) return std::make_error_code(std::errc::no_space_on_device);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::error_code read_at(int file, std::span<std::byte> bytes, std::uint64_t offset) noexcept {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_error();
    if (got == 0) return std::make_error_code(std::errc::io_error);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

std::error_code seal_immutable(int file) noexcept {
  if (::fcntl(file, F_ADD_SEALS, kSizeSeals | F_SEAL_WRITE) != 0) return last_error();
  return {};
}

std::uint64_t allocated_bytes(int file) noexcept {
  struct stat status {};
  if (::fstat(file, &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) *
         512;  // st_blocks counts 512-byte units whatever st_blksize says
}

FileInspection inspect_file(int file, FileRole role, FileBounds bounds) noexcept {
  // First, because the kernel answers it alone: -1 is no shared memory, and fstatfs or fstat of what it is
  // instead could wait for a file server in the sender's hands.
  const int seals = ::fcntl(file, F_GET_SEALS);
  if (seals < 0) return {FileFault::not_memory, 0};
  if (const FileFault fault = check_seals(seals, role); fault != FileFault::none) return {fault, 0};
  if (!opened_for(file, role)) return {FileFault::wrong_access, 0};
  struct stat status {};
  if (::fstat(file, &status) != 0) return untold(FileFault::wrong_size);
  // Seals are of tmpfs or of huge pages, whose block is one of them; tmpfs may have larger blocks, too.
  if (static_cast<std::size_t>(status.st_blksize) != page_bytes())
    if (const FileInspection found = ask_file_system(file); !found) return found;
  if (status.st_size < 0) return {FileFault::wrong_size, 0};
  const auto size_bytes = static_cast<std::uint64_t>(status.st_size);
  const bool whole_pages = role != FileRole::segment || size_bytes % page_bytes() == 0;
  if (!whole_pages || size_bytes < bounds.min_bytes || size_bytes > bounds.max_bytes) {
    return {FileFault::wrong_size, 0};
  }
  return {FileFault::none, size_bytes};
}

std::string_view describe(FileFault fault) noexcept {
  switch (fault) {
    case FileFault::none:
      return "it is as it should be";
    case FileFault::not_memory:
      return "it is no memory file";
    case FileFault::size_not_sealed:
      return "its size is not sealed";
    case FileFault::wrong_seals:
      return "its seals against writing are not those of its role";
    case FileFault::wrong_access:
      return "it is not open for what its role needs";
    case FileFault::not_tmpfs:
      return "it is not on tmpfs (huge pages?)";
    case FileFault::wrong_size:
      return "its size is not acceptable";
    case FileFault::untold:
      return "the kernel does not say now what it is";
  }
  return "unknown";
}

}  // namespace portolan::os
