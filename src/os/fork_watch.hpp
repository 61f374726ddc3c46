// SPDX-License-Identifier: Apache-2.0

// Is this still the process that made the object? A word on a page that every kind of fork wipes
// (MADV_WIPEONFORK) holds this process's fork generation; an object keeps the value of its birth and
// compares. A child that goes on to make objects of its own gets a new generation at its first question, so
// they work, and the inherited ones do not.
#pragma once

#include <atomic>
#include <cstdint>

namespace portolan::os {

namespace fork_watch {
extern std::atomic<std::uint32_t>*
    word;  // set when the library is loaded; holds 0 in a child that has not asked
std::uint32_t renew() noexcept;
}  // namespace fork_watch

/// Differs between a process and all of its descendants by fork or by clone without CLONE_VM. Never 0. One
/// load.
[[nodiscard]] inline std::uint32_t fork_generation() noexcept {
  // [K4] relaxed: the number says nothing about other memory, and fork itself is what wipes it.
  const std::uint32_t generation = fork_watch::word->load(std::memory_order_relaxed);
  return generation != 0 ? generation : fork_watch::renew();
}

/// Whether a fork lies between now and the time when fork_generation() was `generation`.
[[nodiscard]] inline bool forked_since(std::uint32_t generation) noexcept {
  return fork_generation() != generation;
}

/// Has the functions called around every fork() of this process, for good; any of them may be null.
/// `prepare`s run in reverse order of registration. A raw clone() calls none of them. Throws PortError.
void on_fork(void (*prepare)(), void (*parent)(), void (*child)());

}  // namespace portolan::os
