// SPDX-License-Identifier: Apache-2.0

// From a frame to a message: its bytes in place, its descriptors out of the socket, its ports as parcels.

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "os/mapping.hpp"
#include "os/memory_file.hpp"
#include "port/buffer_access.hpp"
#include "port/descriptor_access.hpp"
#include "port/enclosures.hpp"
#include "port/logging.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/reservation.hpp"
#include "wire/bytes.hpp"

namespace portolan::port {

namespace {

constexpr std::uint32_t kMostAttachments = 65'536;
constexpr std::uint64_t kReplyHeadBytes = sizeof(std::uint64_t);

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
  const auto word = wire::load_once<sizeof(std::uint64_t)>({frame + before_word, sizeof(std::uint64_t)});
  FrameParts parts;
  // A number stays in the frame, in front of the table, wherever the payload is.
  const std::uint64_t head_bytes = read.header.is_reply() ? kReplyHeadBytes : 0;
  if (read.header.large_body()) parts.payload_bytes = head_bytes;
  (read.header.large_body() ? parts.body_bytes : parts.payload_bytes) = wire::get<std::uint64_t>(word, 0);
  if (parts.payload_bytes < head_bytes || parts.payload_bytes > before_word - wire::kAttachmentsHeadBytes)
    return std::nullopt;
  const std::uint64_t table_at = ring::round_up_8(parts.payload_bytes);
  if (table_at > before_word - wire::kAttachmentsHeadBytes) return std::nullopt;
  parts.table = {frame + table_at, before_word - table_at};
  return parts;
}

// The table of a frame, if a correct peer can have written it.
bool read_table(const ring::Reader::Frame& frame, const FrameParts& parts, bool foreign,
                wire::Attachments& table) {
  const wire::AttachmentLimits limits{foreign ? wire::kMaxForeignAttachments + 1 : kMostAttachments,
                                      kMostSegmentBytes};
  if (wire::read_attachments(parts.table, limits, table) != wire::AttachmentFault::none) return false;
  const std::vector<wire::Attachment>& entries = table.entries;
  // A mark names nothing, and a message without anything has no table.
  if (entries.empty() != (frame.header.kind() == ring::Kind::mark)) return false;
  const bool body = !entries.empty() && entries.front().kind == wire::AttachmentKind::large_body;
  if (body != frame.header.large_body()) return false;
  if (body && (entries.front().size_bytes != parts.body_bytes ||
               parts.body_bytes > (foreign ? kMostForeignMessageBytes : kMostMessageBytes)))
    return false;
  return !foreign || std::none_of(entries.begin(), entries.end(), [](const wire::Attachment& entry) {
    return entry.kind == wire::AttachmentKind::port && entry.trust == wire::TrustLevel::same_user;
  });
}

// A buffer or a view whose file is still to come.
void add_buffer(Enclosures& enclosures, const wire::Attachment& entry) {
  auto memory = std::make_shared<BufferMemory>();
  if (entry.access == wire::BufferAccess::view) {
    enclosures.views.push_back(BufferAccess::make(std::move(memory), entry.offset_bytes, entry.size_bytes));
    return;
  }
  const BufferKind kind = entry.access == wire::BufferAccess::read_write ? BufferKind::owned
                          : entry.access == wire::BufferAccess::shared   ? BufferKind::shared
                                                                         : BufferKind::read_only;
  enclosures.buffers.push_back(
      BufferAccess::make(std::make_shared<BufferState>(BufferState{std::move(memory), kind})));
}

bool is_writable(const wire::Attachment& entry) noexcept {
  return entry.access == wire::BufferAccess::read_write || entry.access == wire::BufferAccess::shared;
}

bool is_file(const FileDescriptor& file, const wire::Attachment& entry, std::error_code& refused) noexcept {
  const std::uint64_t end_bytes = entry.offset_bytes + entry.size_bytes;
  const bool view = entry.kind == wire::AttachmentKind::buffer && entry.access == wire::BufferAccess::view;
  const bool writable = entry.kind == wire::AttachmentKind::buffer && is_writable(entry);
  const os::FileInspection found =
      os::inspect_file(file.get(), writable ? os::FileRole::buffer : os::FileRole::immutable_body,
                       {end_bytes, view ? std::uint64_t{INT64_MAX} : end_bytes});
  refused = found.refused;
  return static_cast<bool>(found);
}

// Asked of all of them before any leaves `descriptors`. False: one is not what the table says (no error), or
// the kernel does not say now what it is (`refused`).
bool are_what_was_announced(const wire::Attachments& table, std::vector<FileDescriptor>& descriptors,
                            std::uint64_t carrier_inode, std::error_code& refused) {
  std::size_t next = 0;
  for (const wire::Attachment& entry : table.entries) {
    FileDescriptor* const first = &descriptors[next];
    next += wire::descriptors_of(entry.kind);
    if (entry.kind == wire::AttachmentKind::descriptor) continue;
    if (entry.kind != wire::AttachmentKind::port) {
      if (!is_file(*first, entry, refused)) return false;
      continue;
    }
    Parcel parcel = parcel_from(entry, std::move(first[0]), std::move(first[1]));
    const bool is_port = inspect_parcel(parcel, carrier_inode, &refused).empty();
    first[0] = std::move(parcel.segment);
    first[1] = std::move(parcel.socket);
    if (!is_port) return false;
  }
  return true;
}

// One that was inspected.
void place_buffer(BufferMemory& memory, const wire::Attachment& entry, FileDescriptor& file) noexcept {
  DescriptorAccess::set_foreign(file, false);
  memory.place(std::move(file), entry.offset_bytes, entry.size_bytes, is_writable(entry));
}

// Everything of a message that takes memory, before its descriptors are taken out of the socket: what is
// refused here leaves them there.
std::unique_ptr<Enclosures> make_enclosures(const wire::Attachments& table, std::uint64_t copied_bytes) {
  auto enclosures = std::make_unique<Enclosures>();
  const auto count = [&](wire::AttachmentKind kind) {
    return static_cast<std::size_t>(
        std::count_if(table.entries.begin(), table.entries.end(),
                      [kind](const wire::Attachment& entry) { return entry.kind == kind; }));
  };
  enclosures->descriptors.reserve(count(wire::AttachmentKind::descriptor));
  enclosures->ports.reserve(count(wire::AttachmentKind::port));
  if (const std::size_t buffers = count(wire::AttachmentKind::buffer); buffers != 0) {
    enclosures->buffers.reserve(buffers);
    enclosures->views.reserve(buffers);
  }
  for (const wire::Attachment& entry : table.entries)
    if (entry.kind == wire::AttachmentKind::port)
      PortAccess::put(enclosures->ports.emplace_back(), std::make_shared<PortState>(Parcel{}));
    else if (entry.kind == wire::AttachmentKind::buffer)
      add_buffer(*enclosures, entry);
  if (copied_bytes != 0) enclosures->private_copy.reset(new std::byte[copied_bytes]);
  return enclosures;
}

}  // namespace

Endpoint::Take PortState::take(Endpoint& endpoint, MessageEvent& event) {
  for (;;) {
    if (endpoint.status() == Status::closed) return Endpoint::Take::closed;
    const Endpoint::Take taken = take_queued(endpoint, event);
    if (taken != Endpoint::Take::reply) return taken;
    answer(event, PendingReply::Call::later);
  }
}

// The frame of the next message; marks in front of it are passed.
Endpoint::Take PortState::find_message(Endpoint& endpoint, ring::Reader::Frame& frame, MessageEvent& event) {
  for (;;) {
    const Endpoint::Take looked = endpoint.look(frame);
    if (looked == Endpoint::Take::violation) return end_by_violation(endpoint);
    if (looked == Endpoint::Take::refused)
      throw PortError(endpoint.refused(), "receive(" + name() + "): the channel's memory cannot be mapped (" +
                                              endpoint.refused().message() +
                                              "); the message stays; free address space");
    if (looked == Endpoint::Take::mark) {
      if (const auto skipped = open_enclosures(endpoint, frame, event); skipped != Endpoint::Take::mark)
        return skipped;
      endpoint.reader().skip_mark(frame);
      continue;
    }
    return looked;
  }
}

Endpoint::Take PortState::take_in_ring(Endpoint& endpoint, MessageEvent& event) {
  ring::Reader::Frame frame;
  do {
    const Endpoint::Take found = find_message(endpoint, frame, event);
    if (found != Endpoint::Take::message) return found;
  } while (frame.header.is_reply() && pass_if_taken_ahead(endpoint, frame));
  const Endpoint::Take opened = open_frame(endpoint, frame, event);
  if (opened != Endpoint::Take::message) return opened;
  endpoint.reader().take(frame);
  event.lanes_ = &lanes_;
  if (event.enclosures_ != nullptr) large_in_hand_bytes_ += event.enclosures_->body_bytes;
  if (!frame.header.is_reply()) [[likely]]
    return Endpoint::Take::message;
  reply_number_ = number_answered(frame);
  return Endpoint::Take::reply;
}

// Shows what is in the frame, which stays unread.
Endpoint::Take PortState::open_frame(Endpoint& endpoint, const ring::Reader::Frame& frame,
                                     MessageEvent& event) {
  event.show({frame.header, frame.payload, frame.sequence}, lanes_);
  event.lanes_ = nullptr;  // not until nothing can fail any more
  if (endpoint.reader().redelivered(frame.sequence)) event.marks_ |= MessageContent::kRedelivered;
  if (frame.header.is_request()) event.marks_ |= MessageContent::kRequest;
  if (frame.header.attachments()) [[unlikely]] {
    if (const auto opened = open_enclosures(endpoint, frame, event); opened != Endpoint::Take::message)
      return opened;
  } else if (trust_ == Trust::foreign) {
    event.enclosures_ = make_enclosures({}, event.size_bytes_).release();
  }
  if (trust_ == Trust::foreign) [[unlikely]] {
    if (std::byte* const copy = event.enclosures_->private_copy.get()) {
      std::memcpy(copy, event.data_, event.size_bytes_);
      event.data_ = copy;
    }
    event.trusted_ = false;
  }
  if (frame.header.is_reply() && !frame.header.large_body()) {
    event.data_ += kReplyHeadBytes;
    event.size_bytes_ -= kReplyHeadBytes;
  }
  return Endpoint::Take::message;
}

// The peer wrote what no correct peer writes: it is told, and so is whoever listens here.
Endpoint::Take PortState::end_by_violation(Endpoint& endpoint) noexcept {
  if (endpoint.begin_close(CloseReason::protocol_error)) {
    violated_ = true;
    log(LogLevel::warning, [this] {
      return "port " + name() + ": its peer has written what no correct peer writes; the channel is closed";
    });
  }
  if (!attachment_) endpoint.finish_close();  // else the loop lets go of the socket first
  return Endpoint::Take::closed;
}

// The descriptors of a frame, if it names any. A mark names none, but what lies in front of its packet is
// discarded.
Endpoint::Take PortState::open_enclosures(Endpoint& endpoint, const ring::Reader::Frame& frame,
                                          MessageEvent& event) {
  const bool mark = frame.header.kind() == ring::Kind::mark;
  if (mark && frame.header.payload_bytes() == 0)
    return Endpoint::Take::mark;  // an extent that was given up empty
  const auto parts = split(frame);
  wire::Attachments table;
  if (!parts || !read_table(frame, *parts, trust_ == Trust::foreign, table))
    return end_by_violation(endpoint);
  std::unique_ptr<Enclosures> enclosures = make_enclosures(
      table, trust_ == Trust::foreign && !frame.header.large_body() ? parts->payload_bytes : 0);
  enclosures->body_bytes = parts->body_bytes;

  // From the receipt until an owner has them, no fork may copy the descriptors unseen.
  const NoForks no_forks;
  std::vector<FileDescriptor> descriptors;
  std::error_code refused;
  bool cut = false;
  switch (endpoint.collect(table, descriptors, refused)) {
    case Arrivals::Collected::violation:
      return end_by_violation(endpoint);
    case Arrivals::Collected::refused:
      throw_no_room(table, refused);
    case Arrivals::Collected::cut:
      descriptors.clear();
      cut = true;
      break;
    case Arrivals::Collected::none:
      // They went with an owner that was killed before it could say whether somebody saw the message.
      event.marks_ |= MessageContent::kRedelivered;
      break;
    case Arrivals::Collected::all:
      break;
  }
  if (mark) return Endpoint::Take::mark;
  if (!descriptors.empty() && !are_what_was_announced(table, descriptors, endpoint.socket_inode(), refused)) {
    if (!refused) return end_by_violation(endpoint);
    endpoint.arrivals().put_back(table.generation, table.number, std::move(descriptors));
    throw_no_room(table, refused);
  }
  if (enclose(table, descriptors, *enclosures, refused)) {
    event.size_bytes_ = parts->payload_bytes;
    enclosures->broken = cut || (parts->body_bytes != 0 && !enclosures->body);
    if (enclosures->body) {
      event.data_ = enclosures->body.bytes().data();
      event.size_bytes_ = parts->body_bytes;
    }
    event.enclosures_ = enclosures.release();
    return Endpoint::Take::message;
  }
  endpoint.arrivals().put_back(table.generation, table.number, std::move(descriptors));
  throw PortError(refused, "receive(" + name() + "): a message of " + std::to_string(parts->body_bytes) +
                               " bytes cannot be mapped (" + refused.message() +
                               "); it stays; free address space");
}

// What a message brings, out of the socket, and as it came. False: the peer wrote what no correct peer
// writes.
bool PortState::take_off(Endpoint& endpoint, const ring::Reader::Frame& frame, Unopened& content) {
  content.payload = {frame.payload, frame.header.payload_bytes()};
  if (!frame.header.attachments()) return true;
  const auto parts = split(frame);
  if (!parts || !read_table(frame, *parts, trust_ == Trust::foreign, content.table))
    return end_by_violation(endpoint), false;
  std::error_code refused;
  switch (endpoint.collect(content.table, content.descriptors, refused)) {
    case Arrivals::Collected::violation:
      return end_by_violation(endpoint), false;
    case Arrivals::Collected::refused:
      throw_no_room(content.table, refused);
    case Arrivals::Collected::cut:
      content.descriptors.clear();
      break;
    case Arrivals::Collected::none:
    case Arrivals::Collected::all:
      break;
  }
  content.payload = content.payload.first(parts->payload_bytes);
  content.body_bytes = parts->body_bytes;
  return true;
}

// What the messages in front of a reply are to bring comes out of the socket first, and is kept for them.
void PortState::collect_in_front(Endpoint& endpoint, const ring::Reader::Frame& until) {
  const NoForks no_forks;
  ring::Scout scout(endpoint.reader());
  ring::Reader::Frame frame;
  while (scout.look(frame) == ring::Reader::Look::message && frame.sequence != until.sequence) {
    if (!frame.header.attachments() || was_taken_ahead(frame)) continue;
    const auto parts = split(frame);
    wire::Attachments table;
    // Else it is a violation, which is found in its turn.
    if (!parts || !read_table(frame, *parts, trust_ == Trust::foreign, table)) return;
    std::error_code refused;
    if (endpoint.collect_early(table, refused) == Arrivals::Collected::refused) throw_no_room(table, refused);
  }
}

void PortState::throw_no_room(const wire::Attachments& table, std::error_code refused) const {
  throw PortError(refused, "receive(" + name() + "): no room for the message's " +
                               std::to_string(table.descriptor_count) + " descriptors (" + refused.message() +
                               "); the message stays; close some or raise RLIMIT_NOFILE (ulimit -n)");
}

// What was inspected, or nothing. False: the body, which comes first, cannot be mapped now (`refused`, and
// the descriptors are all there).
bool PortState::enclose(const wire::Attachments& table, std::vector<FileDescriptor>& descriptors,
                        Enclosures& enclosures, std::error_code& refused) {
  const bool there = !descriptors.empty();
  std::size_t next = 0, port = 0, buffer = 0, view = 0;
  for (const wire::Attachment& entry : table.entries) {
    const std::size_t first = next;
    next += wire::descriptors_of(entry.kind);
    if (entry.kind == wire::AttachmentKind::port) {
      const std::shared_ptr<PortState> state = PortAccess::take(enclosures.ports[port++]);
      if (!there) continue;
      Parcel parcel = parcel_from(entry, std::move(descriptors[first]), std::move(descriptors[first + 1]));
      parcel.inspected = true;
      DescriptorAccess::set_foreign(parcel.segment, false);
      DescriptorAccess::set_foreign(parcel.socket, false);
      state->take_parcel(std::move(parcel));
      PortAccess::put(enclosures.ports[port - 1], state);
    } else if (entry.kind == wire::AttachmentKind::descriptor) {
      enclosures.descriptors.push_back(there ? std::move(descriptors[first]) : FileDescriptor());
    } else if (entry.kind == wire::AttachmentKind::buffer) {
      const bool viewed = entry.access == wire::BufferAccess::view;
      BufferView* const into_view = viewed ? &enclosures.views[view++] : nullptr;
      SharedBuffer* const into = viewed ? nullptr : &enclosures.buffers[buffer++];
      if (!there) {
        if (viewed)
          *into_view = {};
        else
          *into = {};
        continue;
      }
      BufferMemory& memory = viewed ? *BufferAccess::memory(*into_view) : *BufferAccess::state(*into)->memory;
      place_buffer(memory, entry, descriptors[first]);
    } else if (there && entry.kind == wire::AttachmentKind::large_body) {
      DescriptorAccess::set_foreign(descriptors[first], false);
      enclosures.body = os::Mapping::try_map(descriptors[first].get(), os::Mapping::Access::read_only, 0,
                                             entry.size_bytes, refused);
      if (!enclosures.body) return false;
    }
  }
  return true;
}

}  // namespace portolan::port
