// SPDX-License-Identifier: Apache-2.0

#include "ring/name_table.hpp"

#include <cstring>

namespace portolan::ring {

NameList::NameList(const DirectionLines& lines) noexcept {
  // [R9] acquire; pairs with [W17]: as many bytes as are named are there.
  const std::size_t stated_bytes = lines.writer.name_bytes.load(std::memory_order_acquire);
  const std::size_t used_bytes = std::min(stated_bytes, kNameTableBytes);
  lane::copy_shared(bytes_.data(), lines.names, used_bytes);
  while (used_bytes - whole_bytes_ >= kNameHeadBytes &&
         used_bytes - whole_bytes_ >= entry_bytes(whole_bytes_))
    whole_bytes_ += entry_bytes(whole_bytes_);
}

std::uint32_t NameList::number_at(std::size_t at) const noexcept {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes_.data() + at, sizeof number);
  return number;
}

std::span<const std::byte> NameList::find(std::uint32_t number) const noexcept {
  for (std::size_t at = 0; at < whole_bytes_; at += entry_bytes(at))
    if (number_at(at) == number)
      return std::span(bytes_).subspan(at + kNameHeadBytes, entry_bytes(at) - kNameHeadBytes);
  return {};
}

void NameTable::adopt() noexcept {
  const NameList list(*lines_);
  used_bytes_ = list.whole_bytes();
  told_count_ = 0;
  list.for_each([this](std::uint32_t number) { told_[told_count_++] = number; });
}

void NameTable::tell(std::uint32_t number, std::span<const std::byte> name) noexcept {
  last_ = number;
  if (told(number)) return;
  if (name.size() > kMostNameBytes || kNameHeadBytes + name.size() > kNameTableBytes - used_bytes_) return;
  std::byte* const entry = lines_->names + used_bytes_;
  std::array<std::byte, kNameHeadBytes> head;
  std::memcpy(head.data(), &number, sizeof number);
  head[4] = static_cast<std::byte>(name.size());
  lane::copy_shared(entry, head.data(), head.size());
  lane::copy_shared(entry + kNameHeadBytes, name.data(), name.size());
  used_bytes_ += kNameHeadBytes + name.size();
  told_[told_count_++] = number;
  // [W17] release; pairs with [R9]: the entry is whole before it counts. A writer killed in between has told
  // nothing, and the next one writes over it.
  lines_->writer.name_bytes.store(static_cast<std::uint32_t>(used_bytes_), std::memory_order_release);
}

}  // namespace portolan::ring
