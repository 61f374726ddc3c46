// SPDX-License-Identifier: Apache-2.0

// A part of a memory file in this process's address space, mapped by Boost.Interprocess and never inherited
// by a forked child. Parts of it can be swapped for private copies under the same addresses, so that what the
// user still looks at outlives the channel's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>

namespace portolan::os {

class Mapping {
 public:
  enum class Access : std::uint8_t { read_only, read_write };
  /// When pages come into the address space: each at its first touch, with a fault, or all of them within the
  /// call that maps, which takes less where all are touched. What cannot come then comes at its touch.
  enum class Pages : std::uint8_t { at_touch, at_once };

  /// Maps nothing.
  Mapping() noexcept;

  /// Maps `size_bytes` of `file` from `offset`, both multiples of the page size and inside the file (the
  /// caller has inspected it: the kernel would map beyond its end). The descriptor may be closed afterwards.
  /// Throws PortError.
  Mapping(int file, Access access, std::uint64_t offset, std::size_t size_bytes);

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  /// The same, for callers who decide themselves what a refusal means: on error the result maps nothing.
  [[nodiscard]] static Mapping try_map(int file, Access access, std::uint64_t offset, std::size_t size_bytes,
                                       std::error_code& error, Pages pages = Pages::at_touch) noexcept;

  /// All of it; writing through it needs Access::read_write, else the process faults. The address lasts as
  /// long as this object or what it is moved into.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] explicit operator bool() const noexcept { return !bytes_.empty(); }

  /// Advice to the kernel: huge pages, where memory files may have them.
  void prefer_huge_pages() noexcept;
  /// Gives all of it memory and page tables now. On error some of it may be left out.
  [[nodiscard]] std::error_code populate() noexcept;

  /// Takes every private copy back: the addresses show `file`, the one that was mapped, again. If the kernel
  /// refuses, the copies stay.
  void restore(int file) noexcept;

  /// For a forked child, where the mapping is not, and where something else may have taken its addresses:
  /// maps nothing from now on, and unmaps nothing.
  void forget() noexcept;

  /// Puts a private copy in place of the pages that hold [offset, offset + size_bytes): the same addresses
  /// show the same bytes, and nobody else's writes any more. Other threads may read the range meanwhile;
  /// whoever writes it through another mapping leaves either the old or the new bytes in the copy. On error
  /// nothing has changed.
  [[nodiscard]] std::error_code replace_with_private_copy(std::size_t offset,
                                                          std::size_t size_bytes) noexcept;

 private:
  class Region;  // keeps Boost out of everybody else's build

  std::unique_ptr<Region> region_;
  std::span<std::byte> bytes_;
  std::uint64_t file_offset_ = 0;
  std::size_t copied_begin_ = 0;  // what lies between these two was replaced, in part at least
  std::size_t copied_end_ = 0;
};

}  // namespace portolan::os
