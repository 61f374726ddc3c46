// SPDX-License-Identifier: Apache-2.0

// Room in the channel's own memory, to write a message in place.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <portolan/export.hpp>
#include <portolan/transfer_list.hpp>

namespace portolan {

namespace port {
class PortState;
class Reservation;
}  // namespace port

inline namespace v1 {

/// Belongs to the posting thread of its port. While it lives, posting on the port is an InvalidStateError and
/// transferring it a DataCloneError; it may outlive the port, which then counts as closed.
/// Destroyed without commit, the message was never there.
class PORTOLAN_API Space {
 public:
  Space(Space&&) noexcept;
  Space& operator=(Space&&) noexcept;
  ~Space();

  /// 8-byte aligned; its content is unspecified.
  [[nodiscard]] std::span<std::byte> bytes() noexcept PORTOLAN_LIFETIMEBOUND { return bytes_; }

  /// Posts the first `written` bytes; once. Throws std::length_error if that is more than was reserved,
  /// InvalidStateError if there was a commit before, and what post_message throws for the list. After a throw
  /// everything is as it was and it may be tried again, but bytes() may stand at another address, with the
  /// same content in its first `written` bytes.
  void commit(std::size_t written) {
    if (!published(written)) commit(written, PostOptions{});
  }
  void commit(std::size_t written, PostOptions options);

 private:
  friend class MessagePort;
  Space(port::PortState& port, std::span<std::byte> bytes) noexcept;
  Space(std::unique_ptr<port::Reservation> reservation, std::span<std::byte> bytes) noexcept;
  bool published(std::size_t written) noexcept;
  void drop() noexcept;
  void become_reservation();

  // One of the two, until the commit: room where the ring's last message ends, which most are, or any other.
  port::PortState* port_ = nullptr;
  std::unique_ptr<port::Reservation> reservation_;
  std::span<std::byte> bytes_;
};

}  // namespace v1
}  // namespace portolan
