// SPDX-License-Identifier: Apache-2.0

// The sources of one loop by id: an event that comes late, and a source that is gone in the middle of a turn,
// find nothing instead of something else. Which of them are awake is kept apart, so that the idle ones cost a
// turn nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "port/loop_source.hpp"

namespace portolan::port {

/// Slot in the low 32 bits, the slot's generation, never 0, in the high ones.
enum class SourceId : std::uint64_t { none = 0 };

class SourceTable {
 public:
  /// The source starts awake. Strong guarantee.
  SourceId add(LoopSource& source, int descriptor);

  /// Returns the descriptor it was added with; -1 if unknown.
  int remove(SourceId id) noexcept;

  /// Null once removed.
  [[nodiscard]] LoopSource* find(SourceId id) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] std::size_t slots() const noexcept { return slots_.size(); }

  /// Those to be polled; may hold ids of sources that are gone. Only add() changes it while a turn goes over
  /// it.
  [[nodiscard]] const std::vector<SourceId>& awake() const noexcept { return awake_; }
  void wake(SourceId id) noexcept;  // no-op if awake or gone; tells the source
  void forget_removed() noexcept;   // drops the ids of sources that are gone

  /// Announces the sleep of all that are awake; leaves those that refuse, and puts the others into
  /// asleep_now().
  void announce_sleep() noexcept;
  /// Looks at those again, after the barrier. Whether none at all is awake now.
  [[nodiscard]] bool settle() noexcept;
  [[nodiscard]] bool announced() const noexcept { return !asleep_now_.empty(); }

  /// Looks at the next sleepers, all of them in turn, for a wake that got lost. `most` slots at most.
  void look_at_sleepers(std::size_t most) noexcept;

  [[nodiscard]] bool any_ready() noexcept;             // of those awake
  [[nodiscard]] bool any_keeps_loop_alive() noexcept;  // usually answered by the one that did so last time

  /// Tells all of them that the loop ends, and forgets them.
  void end() noexcept;

 private:
  struct Slot {
    LoopSource* source = nullptr;
    int descriptor = -1;
    std::uint32_t generation = 1;
    bool awake = false;
  };

  void grow();
  [[nodiscard]] Slot* slot(SourceId id) noexcept;
  [[nodiscard]] SourceId id_of(std::size_t index) const noexcept;

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<SourceId> awake_;
  std::vector<SourceId> asleep_now_;
  std::size_t count_ = 0;
  std::size_t last_alive_ = 0;
  std::size_t next_look_ = 0;
};

}  // namespace portolan::port
