// SPDX-License-Identifier: Apache-2.0

// The only place where Boost.Interprocess is used: it maps and unmaps, we advise and replace.
#include "os/mapping.hpp"

#include <algorithm>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <utility>

#include <portolan/error.hpp>

#include "os/memory_file.hpp"
#include "os/refusal.hpp"

namespace portolan::os {
namespace {

namespace interprocess = boost::interprocess;

// What Boost asks of something mappable. Its own shared_memory_object goes by names, and ours have none.
class MappableFile {
 public:
  explicit MappableFile(int file) noexcept : file_(file) {}
  [[nodiscard]] interprocess::mapping_handle_t get_mapping_handle() const noexcept {
    return interprocess::ipcdetail::mapping_handle_from_file_handle(file_);
  }

 private:
  int file_;
};

}  // namespace

class Mapping::Region : public interprocess::mapped_region {
 public:
  using mapped_region::mapped_region;
};

Mapping::Mapping() noexcept = default;
Mapping::~Mapping() = default;

Mapping::Mapping(Mapping&& other) noexcept
    : region_(std::move(other.region_)),
      bytes_(std::exchange(other.bytes_, {})),
      file_offset_(other.file_offset_),
      copied_begin_(other.copied_begin_),
      copied_end_(other.copied_end_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  region_ = std::move(other.region_);
  bytes_ = std::exchange(other.bytes_, {});
  file_offset_ = other.file_offset_;
  copied_begin_ = other.copied_begin_;
  copied_end_ = other.copied_end_;
  return *this;
}

Mapping::Mapping(int file, Access access, std::uint64_t offset, std::size_t size_bytes) {
  std::error_code error;
  *this = try_map(file, access, offset, size_bytes, error);
  if (error) throw_refusal(error, "mmap", "portolan", "free address space or raise vm.max_map_count");
}

Mapping Mapping::try_map(int file, Access access, std::uint64_t offset, std::size_t size_bytes,
                         std::error_code& error, Pages pages) noexcept {
  error.clear();
  Mapping mapping;
  mapping.file_offset_ = offset;
  // Boost would take 0 for "the whole file".
  if (size_bytes == 0 || offset > INT64_MAX) {
    error = std::make_error_code(std::errc::invalid_argument);
    return mapping;
  }
  try {
    const auto map = [&](interprocess::mode_t mode) {
      mapping.region_ =
          std::make_unique<Region>(MappableFile(file), mode, static_cast<interprocess::offset_t>(offset),
                                   size_bytes, nullptr, pages == Pages::at_once ? MAP_POPULATE : 0);
    };
    if (access == Access::read_write) {
      map(interprocess::read_write);
    } else {
      try {
        map(interprocess::read_only);
      } catch (const interprocess::interprocess_exception& refused) {
        if (refused.get_native_error() != EPERM) throw;
        // Before Linux 6.7 a file sealed against writing cannot be shared if it is open for it. A private
        // mapping shows the same pages, and nobody writes them.
        map(interprocess::read_private);
      }
    }
    if (::madvise(mapping.region_->get_address(), size_bytes, MADV_DONTFORK) != 0) {
      error = last_error();
      return {};
    }
    mapping.bytes_ = {static_cast<std::byte*>(mapping.region_->get_address()), size_bytes};
  } catch (const interprocess::interprocess_exception& refused) {
    error = {refused.get_native_error(), std::generic_category()};
  } catch (const std::bad_alloc&) {
    error = std::make_error_code(std::errc::not_enough_memory);
  }
  return mapping;
}

std::error_code Mapping::replace_with_private_copy(std::size_t offset, std::size_t size_bytes) noexcept {
  if (offset > bytes_.size() || size_bytes > bytes_.size() - offset) {
    return std::make_error_code(std::errc::invalid_argument);
  }
  if (size_bytes == 0) return {};
  const std::size_t page = page_bytes();
  const std::size_t first = offset / page * page;
  // A mapping always ends with a page of its own, even if its size is not a whole number of them.
  const std::size_t length = (offset + size_bytes + page - 1) / page * page - first;
  std::byte* const target = bytes_.data() + first;
  void* const copy = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return last_error();
  std::memcpy(copy, target, length);
  // One step for every other thread: the old pages go and the copy comes under the same lock.
  if (::mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED) {
    const std::error_code error = last_error();
    ::munmap(copy, length);
    return error;
  }
  copied_begin_ = copied_end_ == 0 ? first : std::min(copied_begin_, first);
  copied_end_ = std::max(copied_end_, first + length);
  return {};
}

void Mapping::restore(int file) noexcept {
  if (copied_end_ == 0) return;
  std::byte* const target = bytes_.data() + copied_begin_;
  const std::size_t length = copied_end_ - copied_begin_;
  if (::mmap(target, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
             static_cast<off_t>(file_offset_ + copied_begin_)) == MAP_FAILED)
    return;
  ::madvise(target, length, MADV_DONTFORK);
  copied_begin_ = copied_end_ = 0;
}

void Mapping::prefer_huge_pages() noexcept {
  ::madvise(bytes_.data(), bytes_.size(), MADV_HUGEPAGE);
}

std::error_code Mapping::populate() noexcept {
  return ::madvise(bytes_.data(), bytes_.size(), MADV_POPULATE_WRITE) == 0 ? std::error_code() : last_error();
}

void Mapping::forget() noexcept {
  static_cast<void>(region_.release());  // its destructor would unmap
  bytes_ = {};
}

}  // namespace portolan::os
