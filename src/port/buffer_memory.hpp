// SPDX-License-Identifier: Apache-2.0

// A buffer's file and, once somebody has looked at it, its mapping: one for all objects of the same memory in
// this process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <system_error>

#include <portolan/file_descriptor.hpp>

#include "os/fork_watch.hpp"
#include "os/mapping.hpp"

namespace portolan::port {

// As a port's segment at the most.
inline constexpr std::uint64_t kMostBufferBytes = std::uint64_t{1} << 41;

class BufferMemory {
 public:
  BufferMemory() noexcept = default;  // until place()
  BufferMemory(const BufferMemory&) = delete;
  BufferMemory& operator=(const BufferMemory&) = delete;
  ~BufferMemory();

  // Before anybody else knows it. Of the file, [offset, offset + size) is what can be mapped.
  void place(FileDescriptor file, std::uint64_t offset_bytes, std::uint64_t size_bytes,
             bool writable) noexcept;
  void prefer_huge_pages() noexcept { huge_pages_ = true; }
  // Gives it all its memory. Throws PortError.
  void prefault();

  int file() const noexcept { return file_.get(); }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  // In a child that was forked since, its mapping is not there. Throws InvalidStateError.
  void check_process(const char* call) const;

  // What lies at `offset` of the file, mapped. Any thread. Throws PortError, InvalidStateError.
  std::byte* at(std::uint64_t offset_bytes, const char* call);
  // Unmaps it and seals it against everybody's writes; nobody else of this process has it. On error it can
  // still be written.
  std::error_code make_read_only() noexcept;

 private:
  std::uint32_t fork_generation_ = os::fork_generation();
  FileDescriptor file_;
  std::uint64_t offset_bytes_ = 0;
  std::uint64_t size_bytes_ = 0;
  bool writable_ = false;
  bool huge_pages_ = false;
  std::mutex mutex_;
  os::Mapping mapping_;            // under the lock
  std::uint64_t mapped_from_ = 0;  // likewise: the place in the file where the mapping begins
};

}  // namespace portolan::port
