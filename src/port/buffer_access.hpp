// SPDX-License-Identifier: Apache-2.0

// The library's way into a SharedBuffer and a BufferView, and what stands behind the first.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <portolan/buffer_view.hpp>
#include <portolan/shared_buffer.hpp>

#include "port/buffer_memory.hpp"

namespace portolan::port {

enum class BufferKind : std::uint8_t { owned, shared, read_only };

// What is transferred, whichever C++ object stood for it in the value: without memory it is detached.
struct BufferState {
  std::shared_ptr<BufferMemory> memory;
  BufferKind kind = BufferKind::owned;
};

struct BufferAccess {
  static const std::shared_ptr<BufferState>& state(const SharedBuffer& buffer) noexcept {
    return buffer.state_;
  }
  static SharedBuffer make(std::shared_ptr<BufferState> state) noexcept {
    SharedBuffer buffer;
    buffer.state_ = std::move(state);
    return buffer;
  }

  static const std::shared_ptr<BufferMemory>& memory(const BufferView& view) noexcept { return view.memory_; }
  static std::uint64_t offset_bytes(const BufferView& view) noexcept { return view.offset_bytes_; }
  static BufferView make(std::shared_ptr<BufferMemory> memory, std::uint64_t offset_bytes,
                         std::size_t size_bytes) noexcept {
    BufferView view;
    view.memory_ = std::move(memory);
    view.offset_bytes_ = offset_bytes;
    view.size_bytes_ = size_bytes;
    return view;
  }
};

}  // namespace portolan::port
