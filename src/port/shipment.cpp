// SPDX-License-Identifier: Apache-2.0

#include "port/shipment.hpp"

#include <algorithm>
#include <array>

#include <portolan/error.hpp>

#include "os/socket.hpp"
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

}  // namespace

void Shipment::refuse(const std::string& what) const {
  throw DataCloneError("post_message(" + carrier_.name() + "): " + what);
}

// An entry, for what is thrown.
std::string Shipment::describe(std::size_t index) const {
  const Entry& entry = entries_[index];
  std::string text = entry.descriptor != nullptr ? "descriptor" : "port";
  if (entry.state) text += ' ' + entry.state->name();
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

void Shipment::list(const TransferList& transfer) {
  if (transfer.empty() && entries_.empty()) return;
  // Anew: a commit that failed may be tried again.
  entries_.clear();
  port_count_ = 0;
  entries_.reserve(transfer.size());
  for (const Transferable& listed : transfer.entries()) {
    Entry entry{listed.port(), listed.port() != nullptr ? PortAccess::state(*listed.port()) : nullptr,
                listed.descriptor()};
    if (entry.port != nullptr && entry.state.get() == &carrier_)
      refuse("the transfer list contains the port that is posted on; leave it out");
    for (const Entry& earlier : entries_)
      if ((entry.port != nullptr &&
           (earlier.port == entry.port || (entry.state && earlier.state == entry.state))) ||
          (entry.descriptor != nullptr && earlier.descriptor == entry.descriptor))
        refuse("the transfer list names one object twice: " +
               describe(static_cast<std::size_t>(&earlier - entries_.data())) + "; list it once");
    if (entry.port != nullptr) ++port_count_;
    entries_.push_back(std::move(entry));
  }
}

std::uint32_t Shipment::reach(MessagePort& port, Ownership ownership) {
  const std::shared_ptr<PortState>& state = PortAccess::state(port);
  if (!state) refuse("a port inside the value is detached; put the one there that was received");
  if (state.get() == &carrier_) refuse("the value contains the port that is posted on; leave it out");
  std::uint32_t index = 0;
  for (const Entry& entry : entries_) {
    if (entry.port == nullptr) continue;
    if (entry.state == state) return index;
    ++index;
  }
  if (ownership == Ownership::must_be_listed)
    refuse("port " + state->name() +
           " inside the value is not in the transfer list; list it, or post the value as an rvalue");
  // The object may be a temporary of a `save`: what goes is the port's state.
  entries_.push_back({&port, state, nullptr});
  return port_count_++;
}

void Shipment::set_body(FileDescriptor body, std::uint64_t size_bytes) noexcept {
  body_ = std::move(body);
  body_bytes_ = size_bytes;
}

void Shipment::check() const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.descriptor != nullptr) {
      if (!*entry.descriptor) refuse(describe(i) + " is empty; list one that is open");
      continue;
    }
    if (entry.state) entry.state->check_process("post_message");
    if (!entry.state || entry.state->gone())
      refuse(describe(i) + " is detached or closed; list the one that was received");
    if (entry.state->writing() != Writing::nothing)
      refuse("a message is being written on " + describe(i) + "; commit or destroy its Space first");
    if (carrier_.trust() == Trust::foreign && entry.state->trust() == Trust::same_user)
      refuse(describe(i) +
             " is an end of a channel with Trust::same_user, and this one has Trust::foreign; make it with "
             "ChannelOptions{.trust = Trust::foreign}");
  }
  if (carrier_.trust() == Trust::foreign && entries_.size() > wire::kMaxForeignAttachments)
    refuse("at most " + std::to_string(wire::kMaxForeignAttachments) +
           " ports and descriptors go with a message on a foreign channel; post them in several");
}

bool Shipment::doomed() const noexcept {
  return std::any_of(entries_.begin(), entries_.end(), [this](const Entry& entry) {
    return entry.state && entry.state->channel() == carrier_.channel() &&
           entry.state->side() != carrier_.side();
  });
}

void Shipment::undo_moves() noexcept {
  while (moving_ > 0)
    if (const auto& state = entries_[--moving_].state) state->undo_move();
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
    if (entry.state) {
      entry.state->begin_move();
      ++moving_;
      table_.push_back(entry.state->describe_moving());
      for (const int number : entry.state->descriptors_moving()) numbers_.push_back(number);
    } else {
      ++moving_;
      table_.push_back({});
      numbers_.push_back(entry.descriptor->get());
    }
  }
  return send_packets(endpoint);
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
  error = os::send_packet(endpoint.socket(), wire::encode(packet), sent);
  if (error) endpoint.take_back_number(number_);
  return error;
}

void Shipment::write_table(std::span<std::byte> out) const noexcept {
  wire::write_attachments(out, generation_, number_, table_);
}

void Shipment::delivered() noexcept {
  bool maybe_cycle = false;
  moving_ = 0;
  const NoForks no_forks;
  for (Entry& entry : entries_) {
    if (entry.descriptor != nullptr) {
      entry.descriptor->reset();
      continue;
    }
    maybe_cycle = entry.state->untaken_transfers() || maybe_cycle;
    // Only closes this process's descriptors: the receiver has its own.
    const Parcel sent = entry.state->finish_move();
  }
  // The kernel collects ports that are only reachable from each other when some socket is released; the last
  // edge of such a cycle is a port that goes with packets waiting for it.
  if (maybe_cycle) os::kick_socket_collector();
}

void Shipment::lost() noexcept {
  for (Entry& entry : entries_) {
    if (entry.descriptor != nullptr) {
      entry.descriptor->reset();
    } else if (entry.state) {
      entry.state->abandon();
    }
  }
}

}  // namespace portolan::port
