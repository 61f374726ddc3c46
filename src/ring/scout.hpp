// SPDX-License-Identifier: Apache-2.0

// Looks at the unread frames ahead of a reader, and takes none: for a reply that is waited for while other
// messages lie in front of it. What it has seen stays where it is, since nothing is handed back that the
// reader has not passed. docs/ring-protocol.md: "Requests and replies".
#pragma once

#include <cstddef>
#include <cstdint>

#include "ring/reader.hpp"

namespace portolan::ring {

// Belongs to the reader's thread, and never outlives the reader. Peer bytes are checked as the reader does.
class Scout {
 public:
  explicit Scout(Reader& reader) noexcept : reader_(&reader) {}

  // The next message that it has not shown; marks are passed over. Frame::extent is null.
  Reader::Look look(Reader::Frame& frame) noexcept;

  // Has everything unread been shown? Of nothing but a mark in front of the reader it says no.
  bool dry() noexcept;
  // Where the next frame is to appear; only while it is dry.
  std::byte* header_address() const noexcept { return next_; }
  Location place() const noexcept { return {run_, static_cast<std::uint64_t>(next_ - begin_)}; }

  // Shows everything again.
  void start_over() noexcept { sequence_ = 0; }

 private:
  // To where the reader stands, if it has overtaken.
  void keep_up() noexcept;
  Reader::Look follow(Run run) noexcept;

  Reader* reader_;
  std::byte* begin_ = nullptr;
  std::byte* last_ = nullptr;
  std::byte* next_ = nullptr;
  Run run_ = kFirstExtent;
  std::uint64_t sequence_ = 0;  // of the next message
  std::uint64_t frames_ = 0;    // seen since it stood where the reader stands
};

}  // namespace portolan::ring
