// SPDX-License-Identifier: Apache-2.0

// A little memory that every kind of fork wipes (MADV_WIPEONFORK): what lies there is this process's, and its
// children find zeros in its place. So an object whose first state is zero says itself that it was inherited.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/fork_watch.hpp"

namespace portolan::os {

/// Owns kBytes of it, at the beginning of a cache line that nobody else writes. What was made there needs no
/// destructor. A child's copy of the owner gives nothing back: nobody gets its line there, so it stays zero.
class WipedSlot {
 public:
  static constexpr std::size_t kBytes = 56;

  /// Throws std::bad_alloc. Before Linux 4.14 a fork copies the memory instead.
  WipedSlot() = default;
  WipedSlot(const WipedSlot&) = delete;
  WipedSlot& operator=(const WipedSlot&) = delete;
  ~WipedSlot() {
    if (!forked_since(birth_)) give_back(memory_);
  }

  [[nodiscard]] void* memory() const noexcept { return memory_; }

 private:
  static void* take();
  static void give_back(void* memory) noexcept;

  void* memory_ = take();
  std::uint32_t birth_ = fork_generation();
};

}  // namespace portolan::os
