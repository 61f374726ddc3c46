// SPDX-License-Identifier: Apache-2.0

// From a frame to a message: its bytes in place, its descriptors out of the socket, its ports as parcels.

#include <cstring>
#include <memory>
#include <utility>

#include "os/mapping.hpp"
#include "os/memory_file.hpp"
#include "port/enclosures.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan::port {

namespace {

constexpr std::uint32_t kMostAttachments = 65'536;
constexpr std::uint64_t kMostBodyBytes = std::uint64_t{1} << 40;

// Where a frame's payload ends and its table stands. The frame's last word says so, or how long the payload
// is that travels in a file of its own; a peer wrote it.
struct FrameParts {
  std::uint64_t payload_bytes = 0;
  std::uint64_t body_bytes = 0;
  std::span<const std::byte> table;
};

std::optional<FrameParts> split(const ring::Reader::Frame& read) noexcept {
  const std::byte* const frame = read.payload;
  const std::uint64_t frame_bytes = read.header.payload_bytes();
  if (frame_bytes < sizeof(std::uint64_t) + wire::kAttachmentsHeadBytes || frame_bytes % 8 != 0)
    return std::nullopt;
  const std::uint64_t before_word = frame_bytes - sizeof(std::uint64_t);
  FrameParts parts;
  std::memcpy(read.header.large_body() ? &parts.body_bytes : &parts.payload_bytes, frame + before_word,
              sizeof(std::uint64_t));
  if (parts.payload_bytes > before_word - wire::kAttachmentsHeadBytes) return std::nullopt;
  const std::uint64_t table_at = ring::round_up_8(parts.payload_bytes);
  if (table_at > before_word - wire::kAttachmentsHeadBytes) return std::nullopt;
  parts.table = {frame + table_at, before_word - table_at};
  return parts;
}

}  // namespace

Endpoint::Take PortState::take(Endpoint& endpoint, MessageEvent& event) {
  return endpoint.status() == Status::closed ? Endpoint::Take::closed : take_queued(endpoint, event);
}

Endpoint::Take PortState::take_queued(Endpoint& endpoint, MessageEvent& event) {
  ring::Reader::Frame frame;
  for (;;) {
    const Endpoint::Take looked = endpoint.look(frame);
    if (looked == Endpoint::Take::refused)
      throw PortError(endpoint.refused(),
                      "receive: the channel's memory cannot be mapped; free address space");
    if (looked == Endpoint::Take::mark) {
      if (const auto skipped = open_enclosures(endpoint, frame, event); skipped != Endpoint::Take::mark)
        return skipped;
      endpoint.reader().skip_mark(frame);
      continue;
    }
    if (looked != Endpoint::Take::message) return looked;
    break;
  }
  put(frame, event);
  event.port_ = nullptr;  // not until nothing can fail any more
  if (frame.header.attachments()) [[unlikely]] {
    if (const auto opened = open_enclosures(endpoint, frame, event); opened != Endpoint::Take::message)
      return opened;
  }
  event.redelivered_ = endpoint.reader().redelivered(frame.sequence);
  if (trust_ == Trust::foreign) [[unlikely]] {
    if (event.enclosures_ == nullptr) event.enclosures_ = new Enclosures;
    auto& copy = event.enclosures_->private_copy;
    if (!event.enclosures_->body) {
      copy.reset(new std::byte[event.size_bytes_]);
      std::memcpy(copy.get(), event.data_, event.size_bytes_);
      event.data_ = copy.get();
    }
    event.trusted_ = false;
  }
  endpoint.reader().take(frame);
  event.port_ = this;
  ++events_in_hand_;
  if (event.enclosures_ != nullptr) large_in_hand_bytes_ += event.enclosures_->body_bytes;
  return Endpoint::Take::message;
}

Endpoint::Take PortState::refuse_message(Endpoint& endpoint) noexcept {
  close(CloseReason::protocol_error);
  static_cast<void>(endpoint);
  return Endpoint::Take::closed;
}

// The descriptors of a frame, if it names any. A mark names none, but what lies in front of its packet is
// discarded.
Endpoint::Take PortState::open_enclosures(Endpoint& endpoint, const ring::Reader::Frame& frame,
                                          MessageEvent& event) {
  const bool mark = frame.header.kind() == ring::Kind::mark;
  const Endpoint::Take done = mark ? Endpoint::Take::mark : Endpoint::Take::message;
  if (mark && frame.header.payload_bytes() == 0) return done;  // an extent that was given up empty
  const auto parts = split(frame);
  if (!parts) return refuse_message(endpoint);
  wire::Attachments table;
  const wire::AttachmentLimits limits{
      trust_ == Trust::foreign ? wire::kMaxForeignAttachments + 1 : kMostAttachments, kMostBodyBytes};
  if (wire::read_attachments(parts->table, limits, table) != wire::AttachmentFault::none)
    return refuse_message(endpoint);
  const bool body = !table.entries.empty() && table.entries.front().kind == wire::AttachmentKind::large_body;
  if (body != frame.header.large_body() || (body && table.entries.front().size_bytes != parts->body_bytes))
    return refuse_message(endpoint);
  event.size_bytes_ = parts->payload_bytes;

  // From the receipt until an owner has them, no fork may copy the descriptors unseen.
  const NoForks no_forks;
  std::vector<FileDescriptor> descriptors;
  std::error_code refused;
  switch (endpoint.collect(table, descriptors, refused)) {
    case Arrivals::Collected::violation:
      return refuse_message(endpoint);
    case Arrivals::Collected::refused:
      throw PortError(refused, "receive: no room for the message's " +
                                   std::to_string(table.descriptor_count) +
                                   " descriptors; the message stays; close some or raise RLIMIT_NOFILE");
    case Arrivals::Collected::cut:
      event.broken_ = !mark;
      break;
    case Arrivals::Collected::none:
      break;
    case Arrivals::Collected::all:
      break;
  }
  if (mark) return done;
  event.enclosures_ = new Enclosures;
  event.enclosures_->body_bytes = parts->body_bytes;
  if (enclose(endpoint, table, descriptors, event, refused)) return done;
  delete std::exchange(event.enclosures_, nullptr);
  if (!refused) return refuse_message(endpoint);
  endpoint.arrivals().put_back(table.generation, table.number, std::move(descriptors));
  throw PortError(refused, "receive: a large message cannot be mapped; it stays; free address space");
}

// False: a descriptor is not what the table says (no error), or its body cannot be mapped now (`refused`).
bool PortState::enclose(Endpoint& endpoint, const wire::Attachments& table,
                        std::vector<FileDescriptor>& descriptors, MessageEvent& event,
                        std::error_code& refused) {
  Enclosures& enclosures = *event.enclosures_;
  const bool there = !descriptors.empty();
  if (event.broken_ || !there)
    event.broken_ = event.broken_ || table.entries.front().kind == wire::AttachmentKind::large_body;
  std::size_t next = 0;
  if (there && table.entries.front().kind == wire::AttachmentKind::large_body) {
    const std::uint64_t bytes = table.entries.front().size_bytes;
    const os::FileInspection file =
        os::inspect_file(descriptors[0].get(), os::FileRole::immutable_body, {bytes, bytes});
    if (!file) return false;
    enclosures.body =
        os::Mapping::try_map(descriptors[0].get(), os::Mapping::Access::read_only, 0, bytes, refused);
    if (!enclosures.body) return false;
    event.data_ = enclosures.body.bytes().data();
    event.size_bytes_ = bytes;
  }
  for (const wire::Attachment& entry : table.entries) {
    const std::size_t first = next;
    next += wire::descriptors_of(entry.kind);
    if (entry.kind == wire::AttachmentKind::port) {
      MessagePort& port = enclosures.ports.emplace_back();
      if (!there) continue;
      Parcel parcel = parcel_from(entry, std::move(descriptors[first]), std::move(descriptors[first + 1]));
      if (!inspect_parcel(parcel, endpoint.socket()).empty()) return false;
      if (trust_ == Trust::foreign && parcel.trust == Trust::same_user) return false;
      PortAccess::put(port, std::make_shared<PortState>(std::move(parcel)));
    } else if (entry.kind == wire::AttachmentKind::descriptor) {
      enclosures.descriptors.push_back(there ? std::move(descriptors[first]) : FileDescriptor());
    }
  }
  return true;
}

}  // namespace portolan::port
