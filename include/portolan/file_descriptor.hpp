// SPDX-License-Identifier: Apache-2.0

// The owner of one file descriptor: closed exactly once, when the owner is destroyed or given another one. It
// may stand in a message's transfer list; the receiver then has a descriptor of the same open file.
#pragma once

#include <utility>

#include <portolan/export.hpp>

namespace portolan {

namespace port {
struct DescriptorAccess;
}

inline namespace v1 {

/// Owns a descriptor of any kind, or none. Move-only; a moved-from object owns none. Not for concurrent use
/// by several threads. Closing never throws and preserves errno; an error that close() reports is ignored,
/// since the descriptor is gone all the same.
///
/// Close(2) may wait, for a server that keeps the file or for data that a socket still has to send. Of a
/// descriptor that came over a channel with Trust::foreign somebody else decides for how long: it, and its
/// duplicates made here, are closed by one thread of the library, which the first of them starts and which
/// gives way to every other thread (SCHED_IDLE): where others keep all processors busy, that may take long.
/// Without memory or threads to spare they are closed where they are, and what is not closed when the program
/// ends goes with it.
class PORTOLAN_API FileDescriptor {
 public:
  /// Owns none.
  constexpr FileDescriptor() noexcept = default;

  /// Takes `descriptor` over; a negative number means none.
  constexpr explicit FileDescriptor(int descriptor) noexcept
      : descriptor_(descriptor < 0 ? -1 : descriptor) {}

  FileDescriptor(FileDescriptor&& other) noexcept : foreign_(other.foreign_), descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    const bool foreign = other.foreign_;
    reset(other.release());
    foreign_ = foreign;
    return *this;
  }
  ~FileDescriptor() { reset(); }

  /// The number, which stays owned; -1 if there is none.
  [[nodiscard]] constexpr int get() const noexcept { return descriptor_; }

  /// Whether a descriptor is owned.
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return descriptor_ >= 0; }

  /// Gives the descriptor to the caller, who closes it; this object owns none afterwards.
  [[nodiscard]] constexpr int release() noexcept {
    if (noted_ != nullptr) *std::exchange(noted_, nullptr) = nullptr;
    return std::exchange(descriptor_, -1);
  }

  /// Closes what is owned and takes `descriptor` over.
  void reset(int descriptor = -1) noexcept {
    const int old = release();
    const bool foreign = std::exchange(foreign_, false);
    descriptor_ = descriptor < 0 ? -1 : descriptor;
    if (old >= 0) close_now(old, foreign);
  }

  /// Another descriptor of the same open file, closed on exec. Throws PortError when the kernel has no room,
  /// or when nothing is owned (EBADF); this object is unchanged.
  [[nodiscard]] FileDescriptor duplicate() const {
    FileDescriptor copy = duplicate_of(descriptor_);
    copy.foreign_ = foreign_;
    return copy;
  }

  /// The same for a descriptor that somebody else owns.
  [[nodiscard]] static FileDescriptor duplicate_of(int descriptor);

 private:
  friend struct port::DescriptorAccess;

  static void close_now(int descriptor, bool foreign) noexcept;

  bool foreign_ = false;  // came from a foreign peer
  int descriptor_ = -1;
  FileDescriptor** noted_ = nullptr;  // where a message that is being written has noted this object
};

}  // namespace v1
}  // namespace portolan
