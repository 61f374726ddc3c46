// SPDX-License-Identifier: Apache-2.0

#include "port/timers.hpp"

namespace portolan::port {

TimerId Timers::set(std::int64_t deadline_ns, std::int64_t period_ns, Task task) {
  const TimerId id{++last_id_};
  const Key key{deadline_ns, next_order_++};
  const auto timer = timers_.try_emplace(key, Timer{id, period_ns, std::move(task)}).first;
  try {
    keys_.emplace(id, key);
  } catch (...) {
    timers_.erase(timer);
    throw;
  }
  return id;
}

void Timers::clear(TimerId id) noexcept {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return;
  const auto timer =
      timers_.extract(found->second);  // destroyed last: its task's destructor may come back here
  keys_.erase(found);
}

std::optional<std::int64_t> Timers::next_deadline_ns() const noexcept {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.deadline_ns;
}

std::optional<Timers::Due> Timers::take_due(std::int64_t now_ns, std::uint64_t mark) {
  const auto first = timers_.begin();
  if (first == timers_.end() || first->first.deadline_ns > now_ns || first->first.order >= mark)
    return std::nullopt;
  auto node = timers_.extract(first);
  Timer& timer = node.mapped();
  Due due{timer.id, std::move(timer.task)};
  if (timer.period_ns == 0) {
    keys_.erase(timer.id);
  } else {
    // In step with the first deadline, unless that is past already.
    const std::int64_t in_step_ns = node.key().deadline_ns + timer.period_ns;
    node.key() = Key{in_step_ns > now_ns ? in_step_ns : now_ns + timer.period_ns, next_order_++};
    keys_.find(timer.id)->second = node.key();
    timers_.insert(std::move(node));
  }
  return due;
}

void Timers::give_back(Due&& due) noexcept {
  const auto found = keys_.find(due.id);
  if (found != keys_.end()) timers_.find(found->second)->second.task = std::move(due.task);
}

}  // namespace portolan::port
