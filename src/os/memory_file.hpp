// SPDX-License-Identifier: Apache-2.0

// Memory files (memfd): the segments that two processes write, the immutable files that carry large bodies,
// and the buffers that users fill. Also the checks on such a file that somebody else made, in the order in
// which they are safe: nothing is asked that a file system in user space would answer before the kernel has
// said that the file is memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

/// The size of a page of memory here; a power of two.
[[nodiscard]] std::size_t page_bytes() noexcept;

/// A sparse segment of `size_bytes` (a multiple of the page size), for its owner's uid only, whose size can
/// never change again. It occupies no memory yet. Throws PortError.
[[nodiscard]] FileDescriptor create_segment_file(std::uint64_t size_bytes);

/// An empty file of `size_bytes` for a body too large for its channel: to be filled with write_all and made
/// immutable with seal_immutable. Throws PortError.
[[nodiscard]] FileDescriptor create_body_file(std::uint64_t size_bytes);

/// A sparse file of `size_bytes` for a user's buffer, for its owner's uid only: its size can never change
/// again, and its contents can until seal_immutable. /proc shows it as "portolan:label". Throws PortError.
[[nodiscard]] FileDescriptor create_buffer_file(std::uint64_t size_bytes, std::string_view label);

/// Reserves memory for a range, so that touching it cannot fault; what is there already stays.
[[nodiscard]] std::error_code allocate(int file, std::uint64_t offset, std::uint64_t size_bytes) noexcept;

/// Gives a range's memory back; it reads as zeros afterwards.
[[nodiscard]] std::error_code punch(int file, std::uint64_t offset, std::uint64_t size_bytes) noexcept;

/// Writes all of `bytes` at `offset`; shortage of memory is an error here, not a fault.
[[nodiscard]] std::error_code write_all(int file, std::span<const std::byte> bytes,
                                        std::uint64_t offset) noexcept;

/// Fills `bytes` from `offset` on; a shorter file is an error.
[[nodiscard]] std::error_code read_at(int file, std::span<std::byte> bytes, std::uint64_t offset) noexcept;

/// Forbids every later change of contents and size. EBUSY while somebody has the file mapped for writing.
[[nodiscard]] std::error_code seal_immutable(int file) noexcept;

/// The memory that the file occupies now; 0 if it cannot be asked.
[[nodiscard]] std::uint64_t allocated_bytes(int file) noexcept;

enum class FileRole : std::uint8_t {
  segment,         // both sides write: size sealed, contents not
  immutable_body,  // nobody writes: size and contents sealed
  buffer,          // its owner writes, and may seal it: size sealed, contents not
};

enum class FileFault : std::uint8_t {
  none,
  not_memory,       // no seals to be asked for: a pipe, a socket, a file on disk, an O_PATH descriptor
  size_not_sealed,  // somebody could still shrink it under our mapping
  wrong_seals,      // a segment that cannot be written for good, or a body that can
  wrong_access,     // opened so that it cannot be mapped as its role needs
  not_tmpfs,        // huge pages: sealed, but touching it may fault
  wrong_size,       // no whole pages, outside the bounds, or not the size announced
  untold,           // it is memory, and the kernel refuses to say the rest now: FileInspection::refused
};

/// Whole sizes that are acceptable, both ends included. A size that was announced is min == max.
struct FileBounds {
  std::uint64_t min_bytes;
  std::uint64_t max_bytes;
};

struct FileInspection {
  FileFault fault = FileFault::none;
  std::uint64_t size_bytes = 0;  // only when there is no fault
  std::error_code refused = {};  // why nothing more is known; then ask again later
  [[nodiscard]] explicit operator bool() const noexcept { return fault == FileFault::none; }
};

/// Whether a descriptor from elsewhere can serve as `role`. Never blocks on whatever it is instead. A fault
/// is the sender's misdeed and so a value; the descriptor stays the caller's either way.
[[nodiscard]] FileInspection inspect_file(int file, FileRole role, FileBounds bounds) noexcept;

/// The fault in words, for a message: "its size is not sealed".
[[nodiscard]] std::string_view describe(FileFault fault) noexcept;

}  // namespace portolan::os
