// SPDX-License-Identifier: Apache-2.0

// Bytes that nobody can change any more, shared by everybody who has a view of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <portolan/export.hpp>

namespace portolan {

namespace port {
class BufferMemory;
struct BufferAccess;
}  // namespace port

inline namespace v1 {

/// A part of a read-only SharedBuffer. Copying it and posting it copy no bytes: inside a value it is sent as
/// one more descriptor of the same memory, and stays with the sender as well, so it need not and cannot stand
/// in a transfer list. The memory goes when nobody has a view or the buffer any more, whoever made it.
///
/// Trust: the kernel keeps everybody from changing or shortening the memory, its maker included; the library
/// has seen to that before a view is handed out. So bytes() may be parsed in place, also if a foreign peer
/// sent them. How long it is, and what is in it, are the sender's choice: the size of a view may be far more
/// than the memory that its sender spent.
///
/// Threads: any number may use views of the same memory; one and the same view object is for one at a time.
/// In a forked child views are of no use: bytes() throws InvalidStateError, and so does posting them.
class PORTOLAN_API BufferView {
 public:
  /// Of nothing: converts to false, cannot be posted.
  BufferView() noexcept = default;

  /// Whether it is a view of a buffer, if only of no bytes.
  [[nodiscard]] explicit operator bool() const noexcept { return memory_ != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }

  /// The bytes in place, as long as any view of this memory lives in this process. The first call maps them;
  /// only that one costs anything. Throws PortError without address space.
  [[nodiscard]] std::span<const std::byte> bytes() const& PORTOLAN_LIFETIMEBOUND;
  std::span<const std::byte> bytes() const&& = delete;

  /// A part of this view. Throws std::out_of_range.
  [[nodiscard]] BufferView view(std::size_t offset_bytes, std::size_t size_bytes) const;

 private:
  friend struct port::BufferAccess;

  std::shared_ptr<port::BufferMemory> memory_;
  std::uint64_t offset_bytes_ = 0;  // in the file
  std::size_t size_bytes_ = 0;
};

}  // namespace v1
}  // namespace portolan
