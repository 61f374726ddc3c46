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

/// Who writes a message on a port: nobody else may post on it then, and it may not move.
enum class Writing : std::uint8_t { nothing = 0, message = 1, space = 2 };

/// Shut until the port is used. One thread posts, one receives.
class Lanes {
 public:
  explicit Lanes(port::PortState& port) noexcept : port_(&port) {}
  /// Of no port: shut for good, and never written.
  static Lanes kNone;
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes() = default;

  /// Room for a message. Null: not this way.
  [[nodiscard]] std::byte* room(std::uint64_t payload_bytes) const noexcept {
    // [Q7] acquire; pairs with [Q8]: everything that it leads to is complete.
    return room_in(*posting_.load(std::memory_order_acquire), payload_bytes);
  }
  /// Publishes what was written there. True: the reader may be asleep, and has to be looked after.
  [[nodiscard]] bool publish(FrameHeader header) const noexcept {
    writer_->publish_here(header);
    return waker_->has_news();
  }

  /// Room for a message, and nobody else's way until it is published or given up. Null: not this way.
  [[nodiscard]] std::byte* open_space(std::uint64_t payload_bytes) noexcept {
    const Standing& standing = *posting_.load(std::memory_order_acquire);  // [Q7]
    // A user may ask for any number of bytes, to which nothing can be added.
    if (payload_bytes > kMostPayloadBytes) return nullptr;
    std::byte* const space = room_in(standing, payload_bytes);
    if (space == nullptr) return nullptr;
    writing_in_ = &standing;
    writing_.store(static_cast<std::uint8_t>(Writing::space), std::memory_order_relaxed);  // [U3]
    posting_.store(&Standing::kNone, std::memory_order_release);                           // [Q8]
    return space;
  }
  /// Before what was written there, so many bytes, is published. False: not this way, for the port was closed
  /// meanwhile, or others have posted and come first.
  [[nodiscard]] bool close_space(const std::byte* space, std::uint64_t payload_bytes) noexcept {
    // [U3] relaxed: another port of this thread may have taken the turn.
    if (writing_.load(std::memory_order_relaxed) != static_cast<std::uint8_t>(Writing::space) ||
        room_in(*writing_in_, payload_bytes) != space)
      return false;
    writing_.store(static_cast<std::uint8_t>(Writing::nothing), std::memory_order_relaxed);  // [U3]
    posting_.store(writing_in_, std::memory_order_release);                                  // [Q8]
    return true;
  }

  /// False: not this way.
  [[nodiscard]] bool lend(Loan& loan) const noexcept {
    return taking_.load(std::memory_order_acquire)->usable() && reader_->lend(loan);  // [Q7]
  }
  /// The other end is there and has nothing for us, nor is anything in hand. False: perhaps so all the same.
  [[nodiscard]] bool dry() const noexcept {
    const Standing& standing = *taking_.load(std::memory_order_acquire);  // [Q7]
    return standing.usable() && !standing.peer_closed() && reader_->dry_here();
  }
  /// What was lent is done with. False: somebody else has to be told, too.
  [[nodiscard, gnu::always_inline]] bool take_back(std::uint64_t sequence,
                                                   std::uint32_t payload_bytes) const noexcept {
    const Standing& standing = *taking_.load(std::memory_order_relaxed);  // [Q9]
    return standing.status() != Status::inert && standing.owned() &&
           reader_->take_back(sequence, payload_bytes);
  }

  [[nodiscard]] port::PortState& port() const noexcept { return *port_; }

 private:
  friend class port::PortState;

  constexpr Lanes() noexcept = default;

  [[nodiscard]] static bool can_post(const Standing& standing) noexcept {
    return standing.usable() && !standing.peer_closed();
  }
  // By order: for gcc three callers are too many.
  [[nodiscard, gnu::always_inline]] std::byte* room_in(const Standing& standing,
                                                       std::uint64_t payload_bytes) const noexcept {
    return can_post(standing) ? writer_->room_here(payload_bytes) : nullptr;
  }

  // In writing_, above a Writing: the next post has to take a turn first. One word, so that a post looks at
  // one.
  static constexpr unsigned kOutOfTurn = 0x80;

  port::PortState* port_ = nullptr;
  std::atomic<const Standing*> posting_{&Standing::kNone};  // so too while writing_ is not zero
  std::atomic<const Standing*> taking_{&Standing::kNone};
  std::atomic<std::uint8_t> writing_{0};
  const Standing* writing_in_ = &Standing::kNone;  // of the open space
  WriteCursor* writer_ = nullptr;
  Waker* waker_ = nullptr;
  ReadCursor* reader_ = nullptr;
};

inline constinit Lanes Lanes::kNone;

}  // namespace lane
}  // namespace v1
}  // namespace portolan
