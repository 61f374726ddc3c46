// SPDX-License-Identifier: Apache-2.0

#include "port/reservation.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/type_name.hpp>

#include "os/memory_file.hpp"
#include "os/pause.hpp"
#include "port/logging.hpp"
#include "port/port_state.hpp"

namespace portolan::port {

namespace {

// Of the name of a type, so that several fit into the table.
constexpr std::size_t kMostToldLetters = 120;

// Of a kernel that does not send a packet.
const char* cure_of(std::error_code error) {
  if (error.value() == ETOOMANYREFS)
    return "this user's unread messages hold as many as RLIMIT_NOFILE allows: let their receivers read, or "
           "raise it (ulimit -n)";
  if (error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system)
    return "close some, send fewer with one message, or raise RLIMIT_NOFILE (ulimit -n)";
  return "free memory, or post them later";
}

}  // namespace

Reservation::Reservation(std::shared_ptr<PortState> port, std::size_t expected_bytes, Writing what)
    : Sink(port->trust() == Trust::same_user),
      port_(std::move(port)),
      endpoint_(port_->use()),
      shipment_(*port_) {
  port_->check_process("post_message");
  if (port_->writing() == Writing::message)
    throw DataCloneError("post_message(" + port_->name() +
                         "): the value uses this port while it is being posted on it; let its `serialize` "
                         "only write and attach");
  if (port_->writing() == Writing::space)
    throw InvalidStateError((what == Writing::space ? "reserve(" : "post_message(") + port_->name() +
                            "): a Space of this port is open; commit or destroy it first");
  if (endpoint_ != nullptr && (!endpoint_->usable() || endpoint_->peer_closed())) leave_port();
  std::byte* room = nullptr;
  if (endpoint_ != nullptr && !too_large(expected_bytes)) {
    const std::size_t wanted = std::max<std::size_t>(expected_bytes, endpoint_->writer().room_here_bytes());
    if ((room = endpoint_->room(wanted)) != nullptr) {
      place_ = Place::ring;
      begin_ = cursor_ = room;
      end_ = room + wanted;
    }
  }
  if (room == nullptr) move_to_heap(expected_bytes);
  // Last: the destructor that ends it does not run if this throws.
  port_->set_writing(what);
}

bool Reservation::has_space_for(std::size_t bytes) const noexcept {
  if (endpoint_ == nullptr || place_ == Place::ring) return true;
  return too_large(bytes) && endpoint_->writer().large_body_fits(bytes);
}

Reservation::~Reservation() {
  leave_ring();
  port_->end_writing();
}

// What was written in the ring's room stays readable until somebody writes there again.
void Reservation::leave_ring() noexcept {
  if (endpoint_ != nullptr) endpoint_->writer().abandon();
  place_ = Place::heap;
}

void Reservation::leave_port() noexcept {
  leave_ring();
  endpoint_ = nullptr;
}

std::string Reservation::port_name() const {
  return port_->name();
}

void Reservation::shorten(std::size_t bytes) noexcept {
  cursor_ = begin_ + bytes;
  if (std::exchange(body_bytes_, 0) != 0) shipment_.set_body({}, 0);
}

bool Reservation::too_large(std::size_t bytes) const noexcept {
  return bytes > endpoint_->writer().largest_payload_bytes();
}

void Reservation::move_to_heap(std::size_t capacity_bytes) {
  capacity_bytes = std::max<std::size_t>(capacity_bytes, 256);
  // Not value-initialised: a large body would be written twice.
  std::unique_ptr<std::byte[]> heap(new std::byte[capacity_bytes]);
  const std::size_t written_bytes = written();
  if (written_bytes != 0) std::memcpy(heap.get(), begin_, written_bytes);
  leave_ring();
  heap_ = std::move(heap);
  begin_ = heap_.get();
  cursor_ = begin_ + written_bytes;
  end_ = begin_ + capacity_bytes;
}

void Reservation::grow(std::size_t bytes) {
  const std::size_t written_bytes = written();
  const std::size_t wanted = std::max<std::size_t>(written_bytes + bytes, 2 * written_bytes);
  if (place_ == Place::ring && !too_large(wanted)) {
    if (std::byte* const room = endpoint_->extend(wanted, written_bytes)) {
      begin_ = room;
      cursor_ = room + written_bytes;
      end_ = room + wanted;
      return;
    }
    // The writer has let go of the old room, whose bytes are still there: nobody else writes to the ring.
  }
  move_to_heap(wanted);
}

std::uint32_t Reservation::attach_port(MessagePort& port, Ownership ownership) {
  return shipment_.reach(port, ownership);
}

// What the peer says in its error if it reads the value as another type.
void Reservation::tell_type() noexcept {
  const std::string_view name = type_->name.substr(0, kMostToldLetters);
  endpoint_->names().tell(type_->fingerprint, std::as_bytes(std::span(name)));
}

std::uint32_t Reservation::attach_buffer(SharedBuffer& buffer, Ownership ownership) {
  return shipment_.reach(buffer, ownership);
}

std::uint32_t Reservation::attach_descriptor(FileDescriptor& descriptor, Ownership ownership) {
  return shipment_.reach(descriptor, ownership);
}

std::uint32_t Reservation::attach_view(const BufferView& view) {
  return shipment_.reach(view);
}

std::uint64_t Reservation::become_request() noexcept {
  role_ = ring::FrameHeader::kRequest;
  return endpoint_ != nullptr ? endpoint_->writer().message_count() : 0;
}

void Reservation::become_reply(std::uint64_t number) {
  role_ = ring::FrameHeader::kReply;
  head_bytes_ = sizeof number;
  write(&number, sizeof number);
}

PostResult Reservation::drop(PostResult result) noexcept {
  shipment_.lost();
  return result;
}

PostResult Reservation::drop_doomed() noexcept {
  log(LogLevel::warning, [this] {
    return "post_message(" + port_->name() +
           "): the port's own peer is among the transferred, so the channel and this message are lost";
  });
  return drop(PostResult::closed);
}

PostResult Reservation::send(Format format, std::chrono::nanoseconds patience) {
  port_->check_process("post_message");
  shipment_.check();
  const std::int64_t deadline_ns = patience.count() > 0 ? os::monotonic_ns() + patience.count() : 0;
  const std::size_t written_bytes = written();
  if (written_bytes > (port_->trust() == Trust::foreign ? kMostForeignMessageBytes : kMostMessageBytes))
    throw DataCloneError("post_message(" + std::to_string(written_bytes) + " bytes on " + port_->name() +
                         "): too large for one message; post it in several");
  for (;;) {
    // Perhaps closed while the message was written, or while it waited for room.
    if (endpoint_ != nullptr && (!endpoint_->usable() || endpoint_->peer_closed())) leave_port();
    if (endpoint_ == nullptr)
      return drop(port_->gone_by_moving() ? PostResult::detached : PostResult::closed);
    if (shipment_.doomed()) return drop_doomed();
    if (type_ != nullptr && !endpoint_->names().told_last(type_->fingerprint)) [[unlikely]]
      tell_type();
    if (port_->out_of_turn()) port_->take_turn();
    switch (try_send(format)) {
      case Sent::yes:
        return PostResult::posted;
      case Sent::closed:
        endpoint_->notice_hang_up();
        continue;
      case Sent::full:
        break;
    }
    if (deadline_ns == 0) {
      ++port_->stalls().refused;
      port_->want_drain();
      return PostResult::full;
    }
    if (place_ == Place::ring) move_to_heap(written_bytes);
    const bool packet = !shipment_.empty();
    const std::size_t needed = written_bytes + (packet ? shipment_.table_bytes() + 16 : 0);
    const std::int64_t began_ns = os::monotonic_ns();
    const Endpoint::Wait woken = endpoint_->wait_for_room(needed, packet, deadline_ns);
    PortState::Stalls& stalls = port_->stalls();
    ++stalls.waits;
    stalls.waited_ns += static_cast<std::uint64_t>(os::monotonic_ns() - began_ns);
    if (woken == Endpoint::Wait::timed_out) return PostResult::full;
  }
}

// Room in the ring for the message as it is now; what was written in private memory is copied there.
std::byte* Reservation::room_for(std::size_t frame_bytes) {
  const std::size_t written_bytes = written();
  std::byte* room = begin_;
  if (place_ == Place::heap) {
    endpoint_->writer().abandon();  // of an attempt that failed
    room = endpoint_->room(frame_bytes);
    const std::size_t stays_bytes = body_bytes_ == 0 ? written_bytes : head_bytes_;
    if (room != nullptr && stays_bytes != 0) std::memcpy(room, begin_, stays_bytes);
  } else if (frame_bytes > static_cast<std::size_t>(end_ - begin_)) {
    room = endpoint_->extend(frame_bytes, written_bytes);
  }
  if (room != nullptr) return room;
  switch (endpoint_->writer().refusal()) {
    case ring::Writer::Refusal::kernel:
      if (endpoint_->usable()) throw_refused(endpoint_->blocks_refused());
      return nullptr;
    case ring::Writer::Refusal::none:
    case ring::Writer::Refusal::full:
      break;
  }
  return nullptr;
}

void Reservation::throw_refused(std::error_code error) const {
  throw PortError(error, "post_message(" + std::to_string(written()) + " bytes on " + port_->name() +
                             "): the kernel has no memory for the message (" + error.message() +
                             "); free some, or let the peer read");
}

Reservation::Sent Reservation::try_send(Format format) {
  const std::size_t written_bytes = written();
  if (too_large(written_bytes) && body_bytes_ == 0 && !make_body()) return Sent::full;
  if (!shipment_.empty()) return send_with_shipment(format);
  std::byte* const room = room_for(written_bytes);
  if (room == nullptr) return endpoint_->usable() ? Sent::full : Sent::closed;
  place_ = Place::heap;  // the ring has it now
  begin_ = cursor_ = end_ = nullptr;
  endpoint_->publish(header(written_bytes, format, false));
  return Sent::yes;
}

bool Reservation::make_body() {
  const std::size_t bytes = written() - head_bytes_;
  if (!endpoint_->writer().large_body_fits(bytes)) return false;
  FileDescriptor file = os::create_body_file(bytes);
  std::error_code error = os::write_all(file.get(), {begin_ + head_bytes_, bytes}, 0);
  if (!error) error = os::seal_immutable(file.get());
  if (error) throw_refused(error);
  body_bytes_ = bytes;
  shipment_.set_body(std::move(file), bytes);
  return true;
}

Reservation::Sent Reservation::send_with_shipment(Format format) {
  const std::size_t payload_bytes = body_bytes_ != 0 ? head_bytes_ : written();
  const std::size_t table_at = ring::round_up_8(payload_bytes);
  const std::size_t table_bytes = shipment_.table_bytes();
  const std::size_t frame_bytes = table_at + table_bytes + sizeof(std::uint64_t);
  if (frame_bytes > endpoint_->writer().largest_payload_bytes()) {
    if (body_bytes_ == 0 && make_body()) return send_with_shipment(format);
    throw DataCloneError("post_message(" + port_->name() +
                         "): more ports than one message of this channel can describe; post them in several, "
                         "or raise ChannelOptions::limit_bytes");
  }
  std::byte* const room = room_for(frame_bytes);
  if (room == nullptr) return endpoint_->usable() ? Sent::full : Sent::closed;
  if (body_bytes_ == 0) {
    end_ = place_ == Place::ring && room == begin_ ? std::max(end_, room + frame_bytes) : room + frame_bytes;
    place_ = Place::ring;
    begin_ = room;
    cursor_ = room + payload_bytes;
  }
  const std::error_code error = shipment_.send(*endpoint_);
  if (error) {
    if (error == std::errc::resource_unavailable_try_again) return Sent::full;
    if (error == std::errc::broken_pipe || error == std::errc::connection_reset) return Sent::closed;
    throw PortError(error, "post_message(" + port_->name() + "): the kernel does not take the descriptors (" +
                               error.message() + "); " + cure_of(error));
  }
  shipment_.write_table({room + table_at, table_bytes});
  const std::uint64_t stated_bytes = body_bytes_ != 0 ? body_bytes_ : payload_bytes;
  std::memcpy(room + table_at + table_bytes, &stated_bytes, sizeof stated_bytes);
  place_ = Place::heap;
  begin_ = cursor_ = end_ = nullptr;
  // Detached, then committed, then woken: whoever sees the message finds ports that nobody else uses.
  shipment_.delivered();
  endpoint_->publish(header(frame_bytes, format, true));
  return Sent::yes;
}

}  // namespace portolan::port
