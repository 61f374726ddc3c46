// SPDX-License-Identifier: Apache-2.0

// What goes along with a message: references to ports, buffers and descriptors, which are detached once the
// post succeeds.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <ranges>
#include <span>
#include <type_traits>
#include <vector>

#include <portolan/export.hpp>
#include <portolan/file_descriptor.hpp>

namespace portolan {
inline namespace v1 {

class BufferView;
class MessagePort;
class SharedBuffer;

/// One entry of a transfer list: a reference, never an owner. Views are no transferables: they are copied
/// where they stand in a value.
class Transferable {
 public:
  Transferable(MessagePort& port PORTOLAN_LIFETIMEBOUND) noexcept : port_(&port) {}
  Transferable(FileDescriptor& descriptor PORTOLAN_LIFETIMEBOUND) noexcept : descriptor_(&descriptor) {}
  Transferable(SharedBuffer& buffer PORTOLAN_LIFETIMEBOUND) noexcept : buffer_(&buffer) {}
  Transferable(BufferView&) = delete;
  Transferable(MessagePort&&) = delete;     // name it without std::move(): the post empties it
  Transferable(FileDescriptor&&) = delete;  // name it without std::move(): the post empties it
  Transferable(SharedBuffer&&) = delete;    // name it without std::move(): the post empties it

  MessagePort* port() const noexcept { return port_; }
  FileDescriptor* descriptor() const noexcept { return descriptor_; }
  SharedBuffer* buffer() const noexcept { return buffer_; }

 private:
  MessagePort* port_ = nullptr;
  FileDescriptor* descriptor_ = nullptr;
  SharedBuffer* buffer_ = nullptr;
};

/// `{.transfer = {port, buffer, descriptor}}`, without std::move(), or any range of one of them. The list is
/// owned, what it names is not, and must live until the post returns. On success every port and buffer in it
/// is detached and every descriptor empty; on any failure all of them are as they were.
class TransferList {
 public:
  TransferList() noexcept = default;
  TransferList(std::initializer_list<Transferable> entries) : entries_(entries) {}
  template <std::ranges::input_range Range>
  requires(std::is_lvalue_reference_v<std::ranges::range_reference_t<Range>>&&
               std::is_constructible_v<Transferable, std::ranges::range_reference_t<Range>> &&
           !std::same_as<std::remove_cvref_t<Range>, TransferList>)
      TransferList(Range&& range) {  // NOLINT(google-explicit-constructor): it stands for the list
    for (auto& entry : range) entries_.emplace_back(entry);
  }

  std::span<const Transferable> entries() const noexcept { return entries_; }
  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  std::vector<Transferable> entries_;
};

struct PostOptions {
  TransferList transfer = {};
};

}  // namespace v1
}  // namespace portolan
