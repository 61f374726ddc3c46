// SPDX-License-Identifier: Apache-2.0

// The Web's ArrayBuffer as it is transferred, and its SharedArrayBuffer: memory that moves to another
// process, or is shared with it, in the time that a port takes, whatever its size.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <portolan/buffer_view.hpp>
#include <portolan/export.hpp>

namespace portolan {

namespace port {
struct BufferState;
}

inline namespace v1 {

struct SharedBufferOptions {
  bool huge_pages = false;  ///< advice: large pages where this machine has them for shared memory
  bool prefault =
      false;  ///< gives it all its memory now: what is missing is an error here and no SIGBUS later
  std::string label = {};  ///< for people and /proc; its first 63 bytes are kept
};

/// A memory file of a fixed size, full of zeros at first. Move-only; default-constructed, moved-from and
/// transferred it is detached: it has no memory and its size is 0.
///
/// Transferring it (in a transfer list, or inside a value that is posted as an rvalue) unmaps it here, and
/// gives it to the receiver, who may fill it and post it back. If it was never looked at, it was never
/// mapped. A post that throws, or finds no room, leaves it here with its bytes.
///
/// Three kinds of it exist:
/// - a new one is its owner's alone, who may write it;
/// - read_only() makes one that nobody can ever write again, its maker and every receiver included: only that
///   may be parsed in place if its sender is not trusted, and only that has views;
/// - shared() makes memory that is written from several places. It is no transferable (DataCloneError in a
/// list);
///   inside a value it is shared, also from an lvalue: the receiver has it and the sender keeps it.
///
/// Trust: of what came from a peer, everything but a read-only one may still be written or emptied by that
/// peer while it is read: copy what you check, before you check it. Its size cannot change. A peer that
/// punches holes gives zeros. Memory is charged to whoever touches it first, so a huge buffer costs its
/// receiver what it reads.
///
/// Threads: one object is for one thread at a time; several objects of one shared memory are for several, and
/// the program orders their reads and writes (std::atomic_ref works between processes). Death of a peer
/// changes nothing: the memory lives until its last owner lets go. In a forked child a buffer of the parent
/// is of no use: everything but destruction, size() and the like throws InvalidStateError there.
class PORTOLAN_API SharedBuffer {
 public:
  SharedBuffer() noexcept = default;

  /// Takes a descriptor and, unless it is to be prefaulted, no memory. Throws PortError (descriptors, memory,
  /// or more than 2 TiB).
  explicit SharedBuffer(std::size_t size_bytes, const SharedBufferOptions& options = {});

  SharedBuffer(SharedBuffer&&) noexcept = default;
  SharedBuffer& operator=(SharedBuffer&&) noexcept = default;
  ~SharedBuffer() = default;

  /// Whether it has memory, if only of no bytes; false once it is detached.
  [[nodiscard]] explicit operator bool() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool is_read_only() const noexcept;
  [[nodiscard]] bool is_shared() const noexcept;

  /// The bytes in place, page-aligned, until the buffer is transferred, made read-only, assigned to or
  /// destroyed; none of a detached one. The first call maps them, and the first touch of a page gives it its
  /// memory. Throws InvalidStateError if it is read-only (read it as a constant), PortError without address
  /// space.
  [[nodiscard]] std::span<std::byte> bytes() & PORTOLAN_LIFETIMEBOUND;
  [[nodiscard]] std::span<const std::byte> bytes() const& PORTOLAN_LIFETIMEBOUND;
  std::span<const std::byte> bytes() const&& = delete;

  /// The same memory, which nobody can write from now on. Unmaps it: what bytes() gave before is invalid.
  /// Throws InvalidStateError if it is detached or shared; PortError with device_or_resource_busy if a peer
  /// who had it before still has it mapped for writing. After a throw this object is as it was.
  [[nodiscard]] SharedBuffer read_only() &&;

  /// A second object of the same memory; both are of the shared kind from now on. Throws InvalidStateError if
  /// it is detached or read-only: views share what nobody writes.
  [[nodiscard]] SharedBuffer shared();

  /// A view of a part of it, which outlives this object. Throws InvalidStateError unless it is read-only,
  /// std::out_of_range.
  [[nodiscard]] BufferView view(std::size_t offset_bytes, std::size_t size_bytes) const;
  /// Of all of it.
  [[nodiscard]] BufferView view() const { return view(0, size()); }

 private:
  friend struct port::BufferAccess;

  std::shared_ptr<port::BufferState> state_;  // null: detached
};

}  // namespace v1
}  // namespace portolan
