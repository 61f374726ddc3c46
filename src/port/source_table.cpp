// SPDX-License-Identifier: Apache-2.0

#include "port/source_table.hpp"

#include <algorithm>

namespace portolan::port {

SourceId SourceTable::add(LoopSource& source, int descriptor) {
  if (free_.empty()) {
    if (slots_.size() == slots_.capacity()) grow();
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t index = free_.back();
  // A source that comes back to where it was finds room, and takes no memory.
  if (awake_.size() == awake_.capacity()) forget_removed();
  awake_.push_back(id_of(index));
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.source = &source;
  slot.descriptor = descriptor;
  slot.awake = true;
  ++count_;
  return id_of(index);
}

// Room for all that later calls, which must not fail, put into these.
void SourceTable::grow() {
  const std::size_t capacity = std::max(std::size_t{4}, 2 * slots_.size());
  free_.reserve(capacity);
  awake_.reserve(capacity);
  asleep_now_.reserve(capacity);
  slots_.reserve(capacity);
}

int SourceTable::remove(SourceId id) noexcept {
  Slot* const slot = this->slot(id);
  if (slot == nullptr) return -1;
  const int descriptor = slot->descriptor;
  const std::uint32_t generation = slot->generation + 1;
  *slot = Slot{};
  slot->generation = generation != 0 ? generation : 1;
  free_.push_back(static_cast<std::uint32_t>(slot - slots_.data()));
  --count_;
  return descriptor;
}

LoopSource* SourceTable::find(SourceId id) const noexcept {
  const auto raw = static_cast<std::uint64_t>(id);
  const auto index = static_cast<std::uint32_t>(raw);
  if (index >= slots_.size() || slots_[index].generation != raw >> 32U) return nullptr;
  return slots_[index].source;
}

void SourceTable::wake(SourceId id) noexcept {
  Slot* const slot = this->slot(id);
  if (slot == nullptr || slot->awake) return;
  slot->awake = true;
  slot->source->announce_awake();
  if (awake_.size() == awake_.capacity()) forget_removed();
  awake_.push_back(id);
}

void SourceTable::forget_removed() noexcept {
  std::erase_if(awake_, [this](SourceId id) { return find(id) == nullptr; });
}

void SourceTable::announce_sleep() noexcept {
  asleep_now_.clear();
  const auto falls_asleep = [this](SourceId id) {
    Slot* const slot = this->slot(id);
    if (slot == nullptr) return true;
    if (!slot->source->announce_sleep(true)) return false;
    slot->awake = false;
    asleep_now_.push_back(id);
    return true;
  };
  std::erase_if(awake_, falls_asleep);
}

bool SourceTable::settle() noexcept {
  for (const SourceId id : asleep_now_) {
    if (find(id)->ready()) wake(id);
  }
  asleep_now_.clear();
  return awake_.empty();
}

void SourceTable::look_at_sleepers(std::size_t most) noexcept {
  for (std::size_t left = std::min(most, slots_.size()); left > 0; --left) {
    if (next_look_ >= slots_.size()) next_look_ = 0;
    const std::size_t index = next_look_++;
    const Slot& slot = slots_[index];
    if (slot.source == nullptr || slot.awake) continue;
    slot.source->tidy();
    if (slot.source->ready()) wake(id_of(index));
  }
}

bool SourceTable::any_ready() noexcept {
  return std::any_of(awake_.begin(), awake_.end(), [this](SourceId id) {
    LoopSource* const source = find(id);
    return source != nullptr && source->ready();
  });
}

bool SourceTable::any_keeps_loop_alive() noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::size_t index = (last_alive_ + i) % slots_.size();
    if (slots_[index].source == nullptr || !slots_[index].source->keeps_loop_alive()) continue;
    last_alive_ = index;
    return true;
  }
  return false;
}

void SourceTable::end() noexcept {
  for (std::size_t index = 0; index < slots_.size(); ++index)
    if (slots_[index].source != nullptr) slots_[index].source->loop_ends();
  slots_.clear();
  free_.clear();
  awake_.clear();
  asleep_now_.clear();
  count_ = 0;
}

SourceTable::Slot* SourceTable::slot(SourceId id) noexcept {
  return find(id) != nullptr ? &slots_[static_cast<std::uint32_t>(id)] : nullptr;
}

SourceId SourceTable::id_of(std::size_t index) const noexcept {
  return SourceId{std::uint64_t{slots_[index].generation} << 32U | index};
}

}  // namespace portolan::port
