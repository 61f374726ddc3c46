// SPDX-License-Identifier: Apache-2.0

#include <stdexcept>
#include <string>
#include <system_error>

#include <portolan/error.hpp>
#include <portolan/shared_buffer.hpp>

#include "os/memory_file.hpp"
#include "port/buffer_access.hpp"

namespace portolan {
inline namespace v1 {

namespace {

port::BufferState& attached(const std::shared_ptr<port::BufferState>& state, const char* call) {
  if (!state || !state->memory)
    throw InvalidStateError(std::string(call) + ": the buffer is detached; use the one that was received");
  state->memory->check_process(call);
  return *state;
}

[[noreturn]] void refuse_part(const char* call, std::size_t offset_bytes, std::size_t size_bytes,
                              std::size_t whole_bytes) {
  throw std::out_of_range(std::string(call) + "(" + std::to_string(offset_bytes) + ", " +
                          std::to_string(size_bytes) + "): the whole has " + std::to_string(whole_bytes) +
                          " bytes");
}

}  // namespace

SharedBuffer::SharedBuffer(std::size_t size_bytes, const SharedBufferOptions& options)
    : state_(std::make_shared<port::BufferState>()) {
  if (size_bytes > port::kMostBufferBytes)
    throw PortError(std::make_error_code(std::errc::file_too_large),
                    "SharedBuffer(" + std::to_string(size_bytes) + " bytes): at most " +
                        std::to_string(port::kMostBufferBytes) + " are possible; use several");
  state_->memory = std::make_shared<port::BufferMemory>();
  state_->memory->place(os::create_buffer_file(size_bytes, options.label), 0, size_bytes, true);
  if (options.huge_pages) state_->memory->prefer_huge_pages();
  if (options.prefault) state_->memory->prefault();
}

SharedBuffer::operator bool() const noexcept {
  return state_ && state_->memory;
}

std::size_t SharedBuffer::size() const noexcept {
  return *this ? static_cast<std::size_t>(state_->memory->size_bytes()) : 0;
}

bool SharedBuffer::is_read_only() const noexcept {
  return *this && state_->kind == port::BufferKind::read_only;
}

bool SharedBuffer::is_shared() const noexcept {
  return *this && state_->kind == port::BufferKind::shared;
}

std::span<std::byte> SharedBuffer::bytes() & {
  if (is_read_only())
    throw InvalidStateError(
        "SharedBuffer::bytes: the buffer is read-only; read it as a constant (std::as_const), or through "
        "view()");
  if (size() == 0) return {};
  return {state_->memory->at(0, "SharedBuffer::bytes"), size()};
}

std::span<const std::byte> SharedBuffer::bytes() const& {
  if (size() == 0) return {};
  return {state_->memory->at(0, "SharedBuffer::bytes"), size()};
}

SharedBuffer SharedBuffer::read_only() && {
  port::BufferState& state = attached(state_, "SharedBuffer::read_only");
  if (state.kind == port::BufferKind::shared)
    throw InvalidStateError(
        "SharedBuffer::read_only: the memory is shared, and others may write it; copy it into a buffer of "
        "its "
        "own");
  if (state.kind == port::BufferKind::owned) {
    if (const std::error_code refused = state.memory->make_read_only())
      throw PortError(refused, "SharedBuffer::read_only(" + std::to_string(size()) +
                                   " bytes): " + refused.message() +
                                   "; a process that had it before can still write it: copy it into a buffer "
                                   "of its own");
    state.kind = port::BufferKind::read_only;
  }
  return std::move(*this);
}

SharedBuffer SharedBuffer::shared() {
  port::BufferState& state = attached(state_, "SharedBuffer::shared");
  if (state.kind == port::BufferKind::read_only)
    throw InvalidStateError("SharedBuffer::shared: the buffer is read-only; view() shares it");
  auto second =
      std::make_shared<port::BufferState>(port::BufferState{state.memory, port::BufferKind::shared});
  state.kind = port::BufferKind::shared;
  return port::BufferAccess::make(std::move(second));
}

BufferView SharedBuffer::view(std::size_t offset_bytes, std::size_t size_bytes) const {
  const port::BufferState& state = attached(state_, "SharedBuffer::view");
  if (state.kind != port::BufferKind::read_only)
    throw InvalidStateError(
        "SharedBuffer::view: the buffer can still be written; make it read-only first: buffer = "
        "std::move(buffer).read_only()");
  if (offset_bytes > size() || size_bytes > size() - offset_bytes)
    refuse_part("SharedBuffer::view", offset_bytes, size_bytes, size());
  return port::BufferAccess::make(state.memory, offset_bytes, size_bytes);
}

std::span<const std::byte> BufferView::bytes() const& {
  if (size_bytes_ == 0) return {};
  return {memory_->at(offset_bytes_, "BufferView::bytes"), size_bytes_};
}

BufferView BufferView::view(std::size_t offset_bytes, std::size_t size_bytes) const {
  if (offset_bytes > size_bytes_ || size_bytes > size_bytes_ - offset_bytes)
    refuse_part("BufferView::view", offset_bytes, size_bytes, size_bytes_);
  return port::BufferAccess::make(memory_, offset_bytes_ + offset_bytes, size_bytes);
}

}  // namespace v1
}  // namespace portolan
