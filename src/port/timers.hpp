// SPDX-License-Identifier: Apache-2.0

// The timers of one loop, in the order in which they are due: by deadline, equal ones as they were set.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/event_loop.hpp>

namespace portolan::port {

class Timers {
 public:
  using Task = Callback<void()>;

  /// A timer taken out to be run. An interval stays set meanwhile and gets its task back afterwards.
  struct Due {
    TimerId id;
    Task task;
  };

  /// `period_ns` 0: once. Times are CLOCK_MONOTONIC.
  TimerId set(std::int64_t deadline_ns, std::int64_t period_ns, Task task);
  void clear(TimerId id) noexcept;

  [[nodiscard]] bool empty() const noexcept { return timers_.empty(); }
  [[nodiscard]] std::optional<std::int64_t> next_deadline_ns() const noexcept;

  /// Timers set from now on are not before this mark: a turn that takes up to it ends.
  [[nodiscard]] std::uint64_t mark() const noexcept { return next_order_; }

  /// The first timer that is due at `now_ns` and was set, or set again, before `mark`.
  [[nodiscard]] std::optional<Due> take_due(std::int64_t now_ns, std::uint64_t mark);
  void give_back(Due&& due) noexcept;

 private:
  struct Key {
    std::int64_t deadline_ns;
    std::uint64_t order;
    auto operator<=>(const Key&) const = default;
  };
  struct Timer {
    TimerId id;
    std::int64_t period_ns;
    Task task;
  };

  std::map<Key, Timer> timers_;
  std::unordered_map<TimerId, Key> keys_;
  std::uint64_t next_order_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace portolan::port
