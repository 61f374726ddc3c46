// SPDX-License-Identifier: Apache-2.0

#include "port/buffer_memory.hpp"

#include <string>
#include <utility>

#include <portolan/error.hpp>

#include "os/memory_file.hpp"

namespace portolan::port {

BufferMemory::~BufferMemory() {
  // At its addresses there may be something of the child's.
  if (os::forked_since(fork_generation_)) mapping_.forget();
}

void BufferMemory::place(FileDescriptor file, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                         bool writable) noexcept {
  file_ = std::move(file);
  offset_bytes_ = offset_bytes;
  size_bytes_ = size_bytes;
  writable_ = writable;
}

void BufferMemory::prefault() {
  if (size_bytes_ == 0) return;
  static_cast<void>(at(offset_bytes_, "SharedBuffer"));
  // Huge pages come with a touch and not with fallocate(); what this leaves out, that one gives.
  if (huge_pages_) static_cast<void>(mapping_.populate());
  if (const std::error_code refused = os::allocate(file_.get(), offset_bytes_, size_bytes_))
    throw PortError(refused, "SharedBuffer(" + std::to_string(size_bytes_) + " bytes): no memory for it (" +
                                 refused.message() +
                                 "); free some, or do without SharedBufferOptions::prefault");
}

void BufferMemory::check_process(const char* call) const {
  if (os::forked_since(fork_generation_))
    throw InvalidStateError(
        std::string(call) +
        ": the buffer belongs to the process that this one was forked from; have it posted "
        "to this one");
}

std::byte* BufferMemory::at(std::uint64_t offset_bytes, const char* call) {
  check_process(call);
  const std::lock_guard lock(mutex_);
  if (!mapping_) {
    const std::uint64_t from = offset_bytes_ / os::page_bytes() * os::page_bytes();
    const auto access = writable_ ? os::Mapping::Access::read_write : os::Mapping::Access::read_only;
    std::error_code refused;
    mapping_ = os::Mapping::try_map(file_.get(), access, from, offset_bytes_ + size_bytes_ - from, refused);
    if (refused)
      throw PortError(refused,
                      std::string(call) + ": a buffer of " + std::to_string(size_bytes_) +
                          " bytes cannot be mapped (" + refused.message() + "); it is unchanged; " +
                          (refused == std::errc::operation_not_permitted
                               ? "somebody who had it before has sealed it: make it read_only(), or have it "
                                 "sent anew"
                               : "free address space or raise vm.max_map_count"));
    mapped_from_ = from;
    if (huge_pages_) mapping_.prefer_huge_pages();
  }
  return mapping_.bytes().data() + (offset_bytes - mapped_from_);
}

std::error_code BufferMemory::make_read_only() noexcept {
  const std::lock_guard lock(mutex_);
  // The kernel refuses the seal as long as anybody could write through a mapping, this one included.
  mapping_ = {};
  const std::error_code refused = os::seal_immutable(file_.get());
  if (!refused) writable_ = false;
  return refused;
}

}  // namespace portolan::port
