// SPDX-License-Identifier: Apache-2.0

// The short ways through a port: a post and a receive where nothing is out of the ordinary. The port is ours
// and open, the payload lies where the last one ended, nothing else travels with it, and what was received
// before is done with. They are inlined; everything else is the library's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <portolan/lane/read_cursor.hpp>
#include <portolan/lane/standing.hpp>
#include <portolan/lane/waker.hpp>
#include <portolan/lane/write_cursor.hpp>

namespace portolan {

namespace port {
class PortState;
}

inline namespace v1 {
namespace lane {

/// Shut until the port is used. One thread posts, one receives.
class Lanes {
 public:
  explicit Lanes(port::PortState& port) noexcept : port_(&port) {}
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes() = default;

  /// Room for a message. Null: not this way.
  [[nodiscard]] std::byte* room(std::uint64_t payload_bytes) const noexcept {
    // [Q7] acquire; pairs with [Q8]: everything that it leads to is complete.
    const Standing* const standing = posting_.load(std::memory_order_acquire);
    if (standing == nullptr || !standing->usable() || standing->peer_closed()) return nullptr;
    return writer_->room_here(payload_bytes);
  }
  /// Publishes what was written there. True: the reader may be asleep, and has to be looked after.
  [[nodiscard]] bool publish(FrameHeader header) const noexcept {
    writer_->publish_here(header);
    return waker_->has_news();
  }

  /// False: not this way.
  [[nodiscard]] bool lend(Loan& loan) const noexcept {
    const Standing* const standing = taking_.load(std::memory_order_acquire);  // [Q7]
    return standing != nullptr && standing->usable() && reader_->lend(loan);
  }
  /// What was lent is done with. False: somebody else has to be told, too.
  [[nodiscard]] bool take_back(std::uint64_t sequence, std::uint32_t payload_bytes) const noexcept {
    const Standing* const standing = taking_.load(std::memory_order_relaxed);  // [Q9]
    return standing != nullptr && standing->same_process() && standing->owned() &&
           reader_->take_back(sequence, payload_bytes);
  }

  [[nodiscard]] port::PortState& port() const noexcept { return *port_; }

 private:
  friend class port::PortState;

  port::PortState* port_;
  std::atomic<const Standing*> posting_{nullptr};
  std::atomic<const Standing*> taking_{nullptr};
  WriteCursor* writer_ = nullptr;
  Waker* waker_ = nullptr;
  ReadCursor* reader_ = nullptr;
};

}  // namespace lane
}  // namespace v1
}  // namespace portolan
