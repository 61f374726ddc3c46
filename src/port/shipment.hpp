// SPDX-License-Identifier: Apache-2.0

// The ports and descriptors that leave with one message: checked before the message is written, marked in
// transit together, sent in one packet, and detached only when that has succeeded. docs/ring-protocol.md:
// "Transfer".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <portolan/encoding.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/transfer_list.hpp>

#include "port/parcel.hpp"
#include "wire/attachments.hpp"

namespace portolan::port {

class PortState;
class Endpoint;

class Shipment {
 public:
  explicit Shipment(PortState& carrier) noexcept : carrier_(carrier) {}
  Shipment(const Shipment&) = delete;
  Shipment& operator=(const Shipment&) = delete;
  // What can be said before the value is looked at: duplicates, the carrier itself. Throws DataCloneError.
  void list(const TransferList& transfer);
  // A port met inside the value. Its index among the ports.
  std::uint32_t reach(MessagePort& port, Ownership ownership);
  // The message's payload, in a file of its own; goes first.
  void set_body(FileDescriptor body, std::uint64_t size_bytes) noexcept;

  bool empty() const noexcept { return entries_.empty() && !body_; }
  std::size_t table_bytes() const noexcept {
    return wire::attachments_bytes(entries_.size() + (body_ ? 1 : 0));
  }

  // All entries can go, over this carrier. Throws DataCloneError.
  void check() const;
  // One of them is the carrier's own peer: everything goes down with it (M18).
  bool doomed() const noexcept;

  // Sends the packet. On an error, or an exception, everything is as before. Then write_table() and the
  // commit.
  std::error_code send(Endpoint& endpoint);
  void write_table(std::span<std::byte> out) const noexcept;
  // The caller's ports and descriptors are detached: the receiver has them.
  void delivered() noexcept;
  // Likewise, but nobody has them: their peers are told.
  void lost() noexcept;

 private:
  struct Entry {
    MessagePort* port = nullptr;
    std::shared_ptr<PortState> state;  // of the port
    FileDescriptor* descriptor = nullptr;
  };

  [[noreturn]] void refuse(const std::string& what) const;
  std::string describe(std::size_t index) const;
  std::error_code send_marked(Endpoint& endpoint);
  void undo_moves() noexcept;
  std::error_code send_packets(Endpoint& endpoint);

  PortState& carrier_;
  std::vector<Entry> entries_;
  std::uint32_t port_count_ = 0;
  FileDescriptor body_;
  std::uint64_t body_bytes_ = 0;
  std::size_t moving_ = 0;  // entries that are marked in transit
  std::vector<wire::Attachment> table_;
  std::vector<int> numbers_;
  std::uint64_t generation_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace portolan::port
