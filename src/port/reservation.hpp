// SPDX-License-Identifier: Apache-2.0

// One message while it is being written: in the ring while it fits there, else in private memory until it is
// sent. Nothing is visible to the peer before send() has succeeded, and nothing has changed for the caller if
// it has not.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <portolan/encoding.hpp>
#include <portolan/message_port.hpp>

#include "port/endpoint.hpp"
#include "port/shipment.hpp"

namespace portolan::port {

inline constexpr std::uint64_t kMostMessageBytes = std::uint64_t{1} << 36;
inline constexpr std::uint64_t kMostForeignMessageBytes = std::uint64_t{64} << 20;

class PortState;
using lane::Writing;

// What a post on a detached port does: the list goes down with the message.
PostResult drop_list(const TransferList& transfer);

class Reservation final : public Sink {
 public:
  // Throws InvalidStateError while a Space of the port is open, DataCloneError inside a `serialize` that
  // posts on it.
  Reservation(std::shared_ptr<PortState> port, std::size_t expected_bytes, Writing what);
  ~Reservation() override;

  // Whether a message of that size would go out now: it has room in the ring, or as a file of its own; or the
  // port is gone and it would be dropped.
  bool has_space_for(std::size_t bytes) const noexcept;
  void check_list(const TransferList& transfer) { shipment_.list(transfer); }
  // Leaves only the first `bytes` of what was appended.
  void shorten(std::size_t bytes) noexcept;
  std::string port_name() const;
  // Where the message stands now: an attempt to send it may have moved it.
  std::byte* begin() const noexcept { return begin_; }

  // What came along with a message of another channel; with `body_bytes`, its payload is the first of it.
  void relay(std::span<const wire::Attachment> table, std::vector<FileDescriptor>& descriptors,
             std::uint64_t body_bytes) noexcept {
    shipment_.relay(table, descriptors);
    body_bytes_ = body_bytes;
  }

  // What is sent wants a reply; returns the number that the reply will name.
  std::uint64_t become_request() noexcept;
  // What is sent answers the message of that number. Comes before everything that is written.
  void become_reply(std::uint64_t number);

  // Throws DataCloneError and PortError; after a throw, or when it was full, it may be tried again.
  PostResult send(Format format, std::chrono::nanoseconds patience);

 private:
  enum class Place : std::uint8_t { ring, heap };
  enum class Sent : std::uint8_t { yes, full, closed };

  void grow(std::size_t bytes) override;
  std::uint32_t attach_port(MessagePort& port, Ownership ownership) override;
  std::uint32_t attach_buffer(SharedBuffer& buffer, Ownership ownership) override;
  std::uint32_t attach_descriptor(FileDescriptor& descriptor, Ownership ownership) override;
  std::uint32_t attach_view(const BufferView& view) override;

  bool too_large(std::size_t bytes) const noexcept;
  void tell_type() noexcept;
  void leave_ring() noexcept;
  void leave_port() noexcept;
  void move_to_heap(std::size_t capacity_bytes);
  Sent try_send(Format format);
  Sent send_with_shipment(Format format);
  bool make_body();
  ring::FrameHeader header(std::size_t frame_bytes, Format format, bool attachments) const noexcept {
    return ring::FrameHeader::message(static_cast<std::uint32_t>(frame_bytes), static_cast<unsigned>(format),
                                      attachments, body_bytes_ != 0)
        .as(role_);
  }
  std::byte* room_for(std::size_t frame_bytes);
  PostResult drop(PostResult result) noexcept;
  PostResult drop_doomed() noexcept;
  [[noreturn]] void throw_refused(std::error_code error) const;

  std::shared_ptr<PortState> port_;
  Endpoint* endpoint_;  // null: closed or detached; the value is still written, and then dropped
  Place place_ = Place::heap;
  std::unique_ptr<std::byte[]> heap_;
  Shipment shipment_;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t role_ = 0;  // of a request or a reply, its bit in the header
  std::size_t head_bytes_ =
      0;  // of what was written, stay in the frame if the rest goes into a file of its own
};

}  // namespace portolan::port
