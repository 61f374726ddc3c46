// SPDX-License-Identifier: Apache-2.0

#include "port/shipment.hpp"

#include <algorithm>
#include <array>

#include <portolan/error.hpp>

#include "os/socket.hpp"
#include "port/descriptor_access.hpp"
#include "port/fork_guard.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "port/reservation.hpp"
#include "wire/packet.hpp"

namespace portolan::port {

namespace {

// More descriptors than one packet takes: they wait in the queue of a socket of their own, and that one is
// sent. Its other end is closed, so that the receiver finds an end.
FileDescriptor make_bundle(std::span<const int> descriptors, std::error_code& error) {
  std::array<FileDescriptor, 2> ends;
  try {
    ends = os::make_socket_pair();
  } catch (const PortError& refused) {
    error = refused.code();
    return {};
  }
  for (std::uint64_t number = 1; !descriptors.empty() && !error; ++number) {
    const std::size_t count = std::min<std::size_t>(descriptors.size(), wire::kMaxPacketDescriptors);
    const auto packet =
        wire::encode({wire::PacketKind::transfer, static_cast<std::uint32_t>(count), 0, number});
    error = os::send_packet(ends[0].get(), packet, descriptors.first(count));
    descriptors = descriptors.subspan(count);
  }
  return std::move(ends[1]);
}

wire::BufferAccess access_of(BufferKind kind) noexcept {
  switch (kind) {
    case BufferKind::owned:
      return wire::BufferAccess::read_write;
    case BufferKind::shared:
      return wire::BufferAccess::shared;
    case BufferKind::read_only:
      break;
  }
  return wire::BufferAccess::read_only;
}

}  // namespace

void Shipment::refuse(const std::string& what) const {
  throw DataCloneError("post_message(" + carrier_.name() + "): " + what);
}

// An entry, for what is thrown.
std::string Shipment::describe(const Entry& entry) const {
  static constexpr const char* kNames[] = {"port", "buffer", "view", "descriptor"};
  std::string text = kNames[static_cast<std::size_t>(entry.kind)];
  if (entry.port) text += ' ' + entry.port->name();
  std::size_t index = 0;
  for (const Entry& each : entries_) {
    if (&each == &entry) break;
    ++index;
  }
  return text + " (number " + std::to_string(index) + " of those that go along)";
}

PostResult drop_list(const TransferList& transfer) {
  PortState nowhere{Parcel{}};
  Shipment shipment(nowhere);
  shipment.list(transfer);
  shipment.check();
  shipment.lost();
  return PostResult::detached;
}

void Shipment::fill(Entry& entry, const Transferable& listed) {
  if (listed.port() != nullptr) {
    entry.listed = listed.port();
    entry.port = PortAccess::state(*listed.port());
  } else if (listed.buffer() != nullptr) {
    entry.kind = Kind::buffer;
    entry.listed = listed.buffer();
    entry.buffer = BufferAccess::state(*listed.buffer());
  } else {
    entry.kind = Kind::descriptor;
    entry.listed = entry.descriptor = listed.descriptor();
  }
}

void Shipment::list(const TransferList& transfer) {
  if (transfer.empty() && entries_.empty()) return;
  // Anew: a commit that failed may be tried again.
  forget_entries();
  for (const Transferable& listed : transfer.entries()) {
    Entry& entry = entries_.emplace_back();
    fill(entry, listed);
    if (entry.port && entry.port.get() == &carrier_)
      refuse("the transfer list contains the port that is posted on; leave it out");
    if (entry.buffer && entry.buffer->kind == BufferKind::shared)
      refuse(
          "the transfer list contains a buffer of shared memory, which is not transferred; put it into the "
          "value");
    for (const Entry& earlier : entries_) {
      if (&earlier == &entry) break;
      if (earlier.listed == entry.listed || (entry.port && earlier.port == entry.port) ||
          (entry.buffer && earlier.buffer == entry.buffer))
        refuse("the transfer list names one object twice: " + describe(earlier) + "; list it once");
    }
  }
}

// What goes may not be what was noted any more when the objects are emptied.
void Shipment::forget_entries() noexcept {
  for (Entry& entry : entries_)
    if (entry.kind == Kind::descriptor && entry.listed == nullptr) DescriptorAccess::forget(entry.descriptor);
  entries_.clear();
}

std::uint32_t Shipment::index_of(const Entry& wanted) const noexcept {
  std::uint32_t index = 0;
  for (const Entry& entry : entries_) {
    if (&entry == &wanted) break;
    if (entry.kind == wanted.kind) ++index;
  }
  return index;
}

std::uint32_t Shipment::append(Entry entry) {
  return index_of(entries_.emplace_back(std::move(entry)));
}

std::uint32_t Shipment::reach(MessagePort& port, Ownership ownership) {
  const std::shared_ptr<PortState>& state = PortAccess::state(port);
  if (!state) refuse("a port inside the value is detached; put the one there that was received");
  if (state.get() == &carrier_) refuse("the value contains the port that is posted on; leave it out");
  for (const Entry& entry : entries_)
    if (entry.port == state) return index_of(entry);
  if (ownership == Ownership::must_be_listed)
    refuse("port " + state->name() +
           " inside the value is not in the transfer list; list it, or post the value as an rvalue");
  Entry entry;
  entry.port = state;
  return append(std::move(entry));
}

std::uint32_t Shipment::reach(SharedBuffer& buffer, Ownership ownership) {
  const std::shared_ptr<BufferState>& state = BufferAccess::state(buffer);
  if (!state || !state->memory)
    refuse("a buffer inside the value is detached; put the one there that was received");
  const bool shared = state->kind == BufferKind::shared;
  for (const Entry& entry : entries_)
    if (entry.buffer && (entry.buffer == state || (shared && entry.memory == state->memory)))
      return index_of(entry);
  if (!shared && ownership == Ownership::must_be_listed)
    refuse("a buffer of " + std::to_string(buffer.size()) +
           " bytes inside the value is not in the transfer list; list it, or post the value as an rvalue");
  Entry entry;
  entry.kind = Kind::buffer;
  entry.buffer = state;
  entry.memory = state->memory;
  return append(std::move(entry));
}

std::uint32_t Shipment::reach(const BufferView& view) {
  Entry entry;
  entry.kind = Kind::view;
  entry.memory = BufferAccess::memory(view);
  entry.offset_bytes = BufferAccess::offset_bytes(view);
  entry.size_bytes = view.size();
  if (!entry.memory) refuse("a view inside the value is one of nothing; put one there that view() gave");
  for (const Entry& earlier : entries_)
    if (earlier.kind == Kind::view && earlier.memory == entry.memory &&
        earlier.offset_bytes == entry.offset_bytes && earlier.size_bytes == entry.size_bytes)
      return index_of(earlier);
  return append(std::move(entry));
}

std::uint32_t Shipment::reach(FileDescriptor& descriptor, Ownership ownership) {
  if (!descriptor) refuse("a descriptor inside the value is empty; put one there that is open");
  for (const Entry& entry : entries_)
    if (entry.descriptor == &descriptor) return index_of(entry);
  if (ownership == Ownership::must_be_listed)
    refuse("descriptor " + std::to_string(descriptor.get()) +
           " inside the value is not in the transfer list; list it, or post the value as an rvalue");
  Entry entry;
  entry.kind = Kind::descriptor;
  entry.duplicate = descriptor.duplicate();
  const std::uint32_t index = append(std::move(entry));
  DescriptorAccess::note(descriptor, entries_.back().descriptor);
  return index;
}

void Shipment::set_body(FileDescriptor body, std::uint64_t size_bytes) noexcept {
  body_ = std::move(body);
  body_bytes_ = size_bytes;
}

void Shipment::check() const {
  for (const Entry& entry : entries_) check(entry);
  if (carrier_.trust() == Trust::foreign && entries_.size() > wire::kMaxForeignAttachments)
    refuse("at most " + std::to_string(wire::kMaxForeignAttachments) +
           " ports, buffers and descriptors go with a message on a foreign channel; post them in several");
}

void Shipment::check(const Entry& entry) const {
  switch (entry.kind) {
    case Kind::descriptor:
      if (!entry.duplicate && !*entry.descriptor)
        refuse(describe(entry) + " is empty; list one that is open");
      return;
    case Kind::view:
      return entry.memory->check_process("post_message");
    case Kind::buffer:
      if (!entry.buffer || !entry.buffer->memory)
        refuse(describe(entry) + " is detached; list the one that was received");
      return entry.buffer->memory->check_process("post_message");
    case Kind::port:
      break;
  }
  if (entry.port) entry.port->check_process("post_message");
  if (!entry.port || entry.port->gone())
    refuse(describe(entry) + " is detached or closed; list the one that was received");
  if (entry.port->writing() != Writing::nothing)
    refuse("a message is being written on " + describe(entry) + "; commit or destroy its Space first");
  if (carrier_.trust() == Trust::foreign && entry.port->trust() == Trust::same_user)
    refuse(describe(entry) +
           " is an end of a channel with Trust::same_user, and this one has Trust::foreign; make it with "
           "ChannelOptions{.trust = Trust::foreign}");
}

bool Shipment::doomed() const noexcept {
  return std::any_of(entries_.begin(), entries_.end(), [this](const Entry& entry) {
    return entry.port && entry.port->channel() == carrier_.channel() && entry.port->side() != carrier_.side();
  });
}

void Shipment::undo_moves() noexcept {
  for (const Entry& entry : entries_) {
    if (moving_ == 0) return;
    if (entry.port) entry.port->undo_move();
    --moving_;
  }
}

std::error_code Shipment::send(Endpoint& endpoint) {
  try {
    const std::error_code error = send_marked(endpoint);
    if (error) undo_moves();
    return error;
  } catch (...) {
    undo_moves();
    throw;
  }
}

std::error_code Shipment::send_marked(Endpoint& endpoint) {
  table_.clear();
  numbers_.clear();
  if (body_) {
    wire::Attachment body;
    body.kind = wire::AttachmentKind::large_body;
    body.size_bytes = body_bytes_;
    table_.push_back(body);
    numbers_.push_back(body_.get());
  }
  for (const Entry& entry : entries_) {
    if (entry.port) entry.port->begin_move();
    ++moving_;
    add_to_table(entry);
  }
  table_.insert(table_.end(), relayed_.begin(), relayed_.end());
  if (relayed_descriptors_ != nullptr)
    for (const FileDescriptor& each : *relayed_descriptors_) numbers_.push_back(each.get());
  return send_packets(endpoint);
}

void Shipment::add_to_table(const Entry& entry) {
  if (entry.kind == Kind::port) {
    table_.push_back(entry.port->describe_moving());
    for (const int number : entry.port->descriptors_moving()) numbers_.push_back(number);
    return;
  }
  wire::Attachment about;
  switch (entry.kind) {
    case Kind::port:
    case Kind::descriptor:
      table_.push_back(about);
      numbers_.push_back(entry.duplicate ? entry.duplicate.get() : entry.descriptor->get());
      return;
    case Kind::buffer:
      about.access = access_of(entry.buffer->kind);
      about.size_bytes = entry.buffer->memory->size_bytes();
      numbers_.push_back(entry.buffer->memory->file());
      break;
    case Kind::view:
      about.access = wire::BufferAccess::view;
      about.offset_bytes = entry.offset_bytes;
      about.size_bytes = entry.size_bytes;
      numbers_.push_back(entry.memory->file());
      break;
  }
  about.kind = wire::AttachmentKind::buffer;
  table_.push_back(about);
}

std::error_code Shipment::send_packets(Endpoint& endpoint) {
  const Gate::Stay stay(endpoint.gate(), nullptr);
  if (!stay) return std::make_error_code(std::errc::broken_pipe);
  if (!endpoint.socket_has_room(1)) return std::make_error_code(std::errc::resource_unavailable_try_again);
  generation_ = endpoint.generation();
  std::error_code error;
  FileDescriptor bundle;
  wire::Packet packet{wire::PacketKind::transfer, static_cast<std::uint32_t>(numbers_.size()), generation_,
                      0};
  std::array<int, 1> bundle_number;
  std::span<const int> sent = numbers_;
  if (numbers_.size() > wire::kMaxPacketDescriptors) {
    bundle = make_bundle(numbers_, error);
    if (error == std::errc::resource_unavailable_try_again)
      error = std::make_error_code(std::errc::too_many_files_open);
    if (error) return error;
    packet.kind = wire::PacketKind::bundle;
    packet.descriptor_count = 1;
    bundle_number[0] = bundle.get();
    sent = bundle_number;
  }
  packet.number = number_ = endpoint.announce_transfer();
  if (!relayed_.empty() && relayed_descriptors_->empty()) return {};  // no frame waits for its packet
  error = os::send_packet(endpoint.socket(), wire::encode(packet), sent);
  if (error) endpoint.take_back_number(number_);
  return error;
}

void Shipment::write_table(std::span<std::byte> out) const noexcept {
  wire::write_attachments(out, generation_, number_, table_);
}

// Also closes this process's descriptors, and unmaps: the receiver has its own.
void Shipment::detach(Entry& entry) noexcept {
  if (entry.descriptor != nullptr) entry.descriptor->reset();
  if (entry.buffer && entry.buffer->kind != BufferKind::shared) entry.buffer->memory.reset();
  entry.memory.reset();
}

void Shipment::delivered() noexcept {
  bool maybe_cycle = false;
  moving_ = 0;
  const NoForks no_forks;
  if (relayed_descriptors_ != nullptr) relayed_descriptors_->clear();
  for (Entry& entry : entries_) {
    detach(entry);
    if (!entry.port) continue;
    maybe_cycle = entry.port->untaken_transfers() || maybe_cycle;
    const Parcel sent = entry.port->finish_move();
  }
  // The kernel collects ports that are only reachable from each other when some socket is released; the last
  // edge of such a cycle is a port that goes with packets waiting for it.
  if (maybe_cycle) os::kick_socket_collector();
}

void Shipment::lost() noexcept {
  for (Entry& entry : entries_) {
    detach(entry);
    if (entry.port) entry.port->abandon();
  }
}

}  // namespace portolan::port
