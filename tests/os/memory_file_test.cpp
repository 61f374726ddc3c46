// SPDX-License-Identifier: Apache-2.0

// Memory files: what ours are, and that nothing else passes for one.
#include "os/memory_file.hpp"

#include <array>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <portolan/error.hpp>

#include "support/resource_census.hpp"

using namespace portolan::os;
using portolan::FileDescriptor;
using portolan::testing::ResourceCensus;

namespace {

const std::uint64_t kPageBytes = page_bytes();
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

FileBounds any_size() {
  return {kPageBytes, 1024 * kPageBytes};
}

FileDescriptor sealed_memory(std::uint64_t size_bytes, int seals, unsigned flags = 0) {
  FileDescriptor file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) return {};
  if (::fcntl(file.get(), F_ADD_SEALS, seals) != 0) return {};
  return file;
}

FileDescriptor open_again(const FileDescriptor& file, int flags) {
  return FileDescriptor(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), flags | O_CLOEXEC));
}

FileDescriptor temporary_file(const char* directory) {
  FileDescriptor file(::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file && ::ftruncate(file.get(), static_cast<off_t>(kPageBytes)) != 0) return {};
  return file;
}

FileDescriptor pipe_end() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  FileDescriptor unused(ends[0]);
  return FileDescriptor(ends[1]);
}

struct Wrong {
  const char* what;
  FileDescriptor file;
  FileFault expected;
};

// What may stand in place of a segment. A row whose descriptor cannot be made here is skipped, visibly.
std::vector<Wrong> wrong_segments() {
  const FileDescriptor good = create_segment_file(kPageBytes);
  std::vector<Wrong> rows;
  const auto row = [&rows](const char* what, FileDescriptor file, FileFault expected) {
    rows.push_back({what, std::move(file), expected});
  };
  row("a pipe", pipe_end(), FileFault::not_memory);
  row("a socket", FileDescriptor(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)), FileFault::not_memory);
  row("an eventfd", FileDescriptor(::eventfd(0, EFD_CLOEXEC)), FileFault::not_memory);
  row("a directory", FileDescriptor(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), FileFault::not_memory);
  row("a device", FileDescriptor(::open("/dev/zero", O_RDWR | O_CLOEXEC)), FileFault::not_memory);
  row("a file on disk", temporary_file("/var/tmp"), FileFault::not_memory);
  row("a file on tmpfs", temporary_file("/dev/shm"), FileFault::size_not_sealed);
  row("an O_PATH descriptor of a segment", open_again(good, O_PATH), FileFault::not_memory);
  row("a read-only descriptor of a segment", open_again(good, O_RDONLY), FileFault::wrong_access);
  row("a write-only descriptor of a segment", open_again(good, O_WRONLY), FileFault::wrong_access);
  row("memory without seals", sealed_memory(kPageBytes, 0), FileFault::size_not_sealed);
  row("memory that can grow", sealed_memory(kPageBytes, F_SEAL_SHRINK | F_SEAL_SEAL),
      FileFault::size_not_sealed);
  row("memory that can be sealed further", sealed_memory(kPageBytes, F_SEAL_SHRINK | F_SEAL_GROW),
      FileFault::size_not_sealed);
  row("memory that nobody may write", sealed_memory(kPageBytes, kSizeSeals | F_SEAL_WRITE),
      FileFault::wrong_seals);
  row("memory that nobody may map for writing", sealed_memory(kPageBytes, kSizeSeals | F_SEAL_FUTURE_WRITE),
      FileFault::wrong_seals);
  row("huge pages", sealed_memory(2U << 20U, kSizeSeals, MFD_HUGETLB), FileFault::not_tmpfs);
  row("nothing at all", sealed_memory(0, kSizeSeals), FileFault::wrong_size);
  row("no whole pages", sealed_memory(kPageBytes + 1, kSizeSeals), FileFault::wrong_size);
  row("too large a file", sealed_memory(1025 * kPageBytes, kSizeSeals), FileFault::wrong_size);
  row("2^62 bytes", sealed_memory(1ULL << 62U, kSizeSeals), FileFault::wrong_size);
  return rows;
}

}  // namespace

TEST_CASE("nothing but a segment passes for a segment") {
  const ResourceCensus census;
  for (const Wrong& each : wrong_segments()) {
    if (!each.file) {
      MESSAGE("skipped, cannot be made here: ", each.what);
      continue;
    }
    CAPTURE(each.what);
    const FileInspection found = inspect_file(each.file.get(), FileRole::segment, any_size());
    CHECK(describe(found.fault) == describe(each.expected));
    CHECK_FALSE(found);
    CHECK(found.size_bytes == 0);
  }
  CHECK(inspect_file(-1, FileRole::segment, any_size()).fault == FileFault::not_memory);
}

TEST_CASE("a segment passes with its exact size and with bounds around it") {
  const FileDescriptor file = create_segment_file(3 * kPageBytes);
  CHECK(inspect_file(file.get(), FileRole::segment, any_size()).size_bytes == 3 * kPageBytes);
  CHECK(inspect_file(file.get(), FileRole::segment, {3 * kPageBytes, 3 * kPageBytes}));
  CHECK_FALSE(inspect_file(file.get(), FileRole::segment, {4 * kPageBytes, 4 * kPageBytes}));
  CHECK_FALSE(inspect_file(file.get(), FileRole::immutable_body, any_size()));
}

TEST_CASE("a segment has its size for good, belongs to its owner alone and cannot be executed") {
  const FileDescriptor file = create_segment_file(2 * kPageBytes);
  CHECK(::ftruncate(file.get(), static_cast<off_t>(kPageBytes)) != 0);
  CHECK(::ftruncate(file.get(), static_cast<off_t>(3 * kPageBytes)) != 0);
  CHECK(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0);
  CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
  struct stat status {};
  REQUIRE(::fstat(file.get(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0600U);
}

TEST_CASE("memory comes with allocate and goes with punch") {
  const FileDescriptor file = create_segment_file(16 * kPageBytes);
  CHECK(allocated_bytes(file.get()) == 0);
  CHECK_FALSE(allocate(file.get(), 4 * kPageBytes, 8 * kPageBytes));
  CHECK(allocated_bytes(file.get()) == 8 * kPageBytes);
  const std::array<std::byte, 3> text{std::byte{1}, std::byte{2}, std::byte{3}};
  CHECK_FALSE(write_all(file.get(), text, 5 * kPageBytes));
  CHECK_FALSE(allocate(file.get(), 4 * kPageBytes, 8 * kPageBytes));
  std::array<std::byte, 3> read{};
  CHECK(::pread(file.get(), read.data(), read.size(), static_cast<off_t>(5 * kPageBytes)) == 3);
  CHECK(read == text);
  CHECK_FALSE(punch(file.get(), 4 * kPageBytes, 6 * kPageBytes));
  CHECK(allocated_bytes(file.get()) == 2 * kPageBytes);
  CHECK(::pread(file.get(), read.data(), read.size(), static_cast<off_t>(5 * kPageBytes)) == 3);
  CHECK(read == std::array<std::byte, 3>{});
}

TEST_CASE("a range outside the file is an error") {
  const FileDescriptor file = create_segment_file(kPageBytes);
  CHECK(allocate(file.get(), kPageBytes, kPageBytes));
  CHECK(allocate(file.get(), UINT64_MAX - 1, 1));
  CHECK(write_all(file.get(), std::array{std::byte{1}}, kPageBytes));
  CHECK_THROWS_AS(static_cast<void>(create_segment_file(UINT64_MAX)), portolan::PortError);
}

TEST_CASE("a body is immutable once it is sealed, and not before") {
  constexpr std::uint64_t kSize = 100'001;
  const FileDescriptor file = create_body_file(kSize);
  const std::vector<std::byte> content(kSize, std::byte{0x5a});
  REQUIRE_FALSE(write_all(file.get(), content, 0));
  CHECK(inspect_file(file.get(), FileRole::immutable_body, {1, kSize}).fault == FileFault::size_not_sealed);
  REQUIRE_FALSE(seal_immutable(file.get()));
  CHECK(write_all(file.get(), content, 0) == std::errc::operation_not_permitted);
  CHECK(punch(file.get(), 0, kPageBytes) == std::errc::operation_not_permitted);
  CHECK(inspect_file(file.get(), FileRole::immutable_body, {1, kSize}).size_bytes == kSize);
  CHECK(inspect_file(open_again(file, O_RDONLY).get(), FileRole::immutable_body, {1, kSize}));
  CHECK(inspect_file(open_again(file, O_PATH).get(), FileRole::immutable_body, {1, kSize}).fault ==
        FileFault::not_memory);
  CHECK_FALSE(inspect_file(file.get(), FileRole::immutable_body, {1, kSize - 1}));
}

TEST_CASE("a body that is sealed only against later mappings does not pass") {
  const FileDescriptor file = sealed_memory(kPageBytes, kSizeSeals | F_SEAL_FUTURE_WRITE);
  CHECK(inspect_file(file.get(), FileRole::immutable_body, any_size()).fault == FileFault::wrong_seals);
}

TEST_CASE("a buffer's file can be written until it is sealed, and is then an immutable one") {
  const FileDescriptor file = create_buffer_file(100, "label");
  CHECK(inspect_file(file.get(), FileRole::buffer, {100, 100}).size_bytes == 100);
  CHECK(inspect_file(file.get(), FileRole::immutable_body, {100, 100}).fault == FileFault::size_not_sealed);
  CHECK(inspect_file(open_again(file, O_RDONLY).get(), FileRole::buffer, {100, 100}).fault ==
        FileFault::wrong_access);
  CHECK(::ftruncate(file.get(), 1) != 0);
  REQUIRE_FALSE(seal_immutable(file.get()));
  CHECK(inspect_file(file.get(), FileRole::immutable_body, {100, 100}));
  CHECK(inspect_file(file.get(), FileRole::buffer, {100, 100}).fault == FileFault::wrong_seals);
}

TEST_CASE("a file cannot be sealed while somebody could write it through a mapping") {
  const FileDescriptor file = create_buffer_file(kPageBytes, {});
  void* const page = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  REQUIRE(page != MAP_FAILED);
  CHECK(seal_immutable(file.get()) == std::errc::device_or_resource_busy);
  CHECK(inspect_file(file.get(), FileRole::buffer, {kPageBytes, kPageBytes}));
  ::munmap(page, kPageBytes);
  CHECK_FALSE(seal_immutable(file.get()));
}
