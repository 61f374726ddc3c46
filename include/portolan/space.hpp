// SPDX-License-Identifier: Apache-2.0

// Room in the channel's own memory, to write a message in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include <portolan/encoding.hpp>
#include <portolan/export.hpp>
#include <portolan/lane/lanes.hpp>
#include <portolan/transfer_list.hpp>

namespace portolan {

namespace port {
class Reservation;
}

inline namespace v1 {

/// Belongs to the posting thread of its port. While it lives, posting on the port is an InvalidStateError and
/// transferring it a DataCloneError; it may outlive the port, which then counts as closed.
/// Destroyed without commit, the message was never there.
class PORTOLAN_API Space {
 public:
  Space(Space&& other) noexcept
      : lanes_(std::exchange(other.lanes_, nullptr)),
        reservation_(std::exchange(other.reservation_, nullptr)),
        bytes_(std::exchange(other.bytes_, {})) {}
  Space& operator=(Space&& other) noexcept {
    if (this == &other) return *this;
    end();
    lanes_ = std::exchange(other.lanes_, nullptr);
    reservation_ = std::exchange(other.reservation_, nullptr);
    bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }
  [[gnu::always_inline]] ~Space() { end(); }

  /// 8-byte aligned; its content is unspecified.
  [[nodiscard]] std::span<std::byte> bytes() noexcept PORTOLAN_LIFETIMEBOUND { return bytes_; }

  /// Posts the first `written` bytes; once. Throws std::length_error if that is more than was reserved,
  /// InvalidStateError if there was a commit before, and what post_message throws for the list. After a throw
  /// everything is as it was and it may be tried again, but bytes() may stand at another address, with the
  /// same content in its first `written` bytes.
  [[gnu::always_inline]] void commit(std::size_t written) {
    if (lanes_ == nullptr || written > bytes_.size() || !lanes_->close_space(bytes_.data(), written))
        [[unlikely]] {
      commit_slowly(written);
      return;
    }
    const lane::Lanes& lanes = *std::exchange(lanes_, nullptr);
    bytes_ = {};
    if (lanes.publish(lane::FrameHeader::message(static_cast<std::uint32_t>(written),
                                                 static_cast<unsigned>(Format::bytes), false, false)))
        [[unlikely]]
      wake_reader(lanes);
  }
  void commit(std::size_t written, PostOptions options);

 private:
  friend class MessagePort;
  // Where the last message ends; not in_lane() if it is not there.
  Space(lane::Lanes& lanes, std::size_t bytes) noexcept {
    std::byte* const room = lanes.open_space(bytes);
    if (room == nullptr) return;
    lanes_ = &lanes;
    bytes_ = {room, bytes};
  }
  [[nodiscard]] bool in_lane() const noexcept { return lanes_ != nullptr; }
  Space(std::unique_ptr<port::Reservation> reservation, std::span<std::byte> bytes) noexcept;

  // What is out of the ordinary gets values, or another space: while nobody knows the address of this one,
  // the compiler keeps it in registers.
  [[gnu::always_inline]] void end() noexcept {
    if (lanes_ != nullptr || reservation_ != nullptr) [[unlikely]]
      give_up(lanes_, reservation_);
  }
  [[gnu::always_inline]] void commit_slowly(std::size_t written) {
    Space moved(std::move(*this));
    try {
      moved.commit(written, PostOptions{});
    } catch (...) {
      *this = std::move(moved);
      throw;
    }
  }
  static void give_up(lane::Lanes* lanes, port::Reservation* owned) noexcept;
  static void wake_reader(const lane::Lanes& lanes) noexcept;
  void become_reservation();

  // One of the two, until the commit: room where the ring's last message ends, which most are, or any other.
  lane::Lanes* lanes_ = nullptr;
  port::Reservation* reservation_ = nullptr;  // owned
  std::span<std::byte> bytes_;
};

}  // namespace v1
}  // namespace portolan
