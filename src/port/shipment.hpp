// SPDX-License-Identifier: Apache-2.0

// The ports, buffers and descriptors that leave with one message: checked before the message is written,
// marked in transit together, sent in one packet, and detached only when that has succeeded.
// docs/ring-protocol.md: "Transfer".
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <portolan/encoding.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/transfer_list.hpp>

#include "port/buffer_access.hpp"
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
  ~Shipment() { forget_entries(); }

  // What can be said before the value is looked at: duplicates, the carrier itself. Throws DataCloneError.
  void list(const TransferList& transfer);
  // Something met inside the value. Its index among those of its kind. Throws DataCloneError, PortError.
  std::uint32_t reach(MessagePort& port, Ownership ownership);
  std::uint32_t reach(SharedBuffer& buffer, Ownership ownership);
  std::uint32_t reach(FileDescriptor& descriptor, Ownership ownership);
  std::uint32_t reach(const BufferView& view);
  // The message's payload, in a file of its own; goes first.
  void set_body(FileDescriptor body, std::uint64_t size_bytes) noexcept;

  // What came with a message of another channel, as it came: nothing of it was opened. The caller's until it
  // is delivered; if the descriptors were lost on their way, so they are to the receiver.
  void relay(std::span<const wire::Attachment> table, std::vector<FileDescriptor>& descriptors) noexcept {
    relayed_ = table;
    relayed_descriptors_ = &descriptors;
  }

  bool empty() const noexcept { return entries_.empty() && !body_ && relayed_.empty(); }
  std::size_t table_bytes() const noexcept {
    return wire::attachments_bytes(entries_.size() + (body_ ? 1 : 0) + relayed_.size());
  }

  // All entries can go, over this carrier. Throws DataCloneError.
  void check() const;
  // One of them is the carrier's own peer: everything goes down with it (M18).
  bool doomed() const noexcept;

  // Sends the packet. On an error, or an exception, everything is as before. Then write_table() and the
  // commit.
  std::error_code send(Endpoint& endpoint);
  void write_table(std::span<std::byte> out) const noexcept;
  // The caller's ports, buffers and descriptors are detached: the receiver has them.
  void delivered() noexcept;
  // Likewise, but nobody has them: their peers are told.
  void lost() noexcept;

 private:
  enum class Kind : std::uint8_t { port, buffer, view, descriptor };
  // Of objects inside the value, which may be temporaries of a `save`, only what stands behind them is kept.
  struct Entry {
    Kind kind = Kind::port;
    const void* listed = nullptr;          // the object in the list
    std::shared_ptr<PortState> port;       // null: detached
    std::shared_ptr<BufferState> buffer;   // likewise; what is transferred, unless it is shared
    std::shared_ptr<BufferMemory> memory;  // of the buffer or the view
    std::uint64_t offset_bytes = 0;        // of the view
    std::uint64_t size_bytes = 0;
    FileDescriptor* descriptor = nullptr;  // what is emptied; null: it was given up meanwhile
    FileDescriptor duplicate;              // of one inside the value: that is what goes
  };

  [[noreturn]] void refuse(const std::string& what) const;
  std::string describe(const Entry& entry) const;
  static void fill(Entry& entry, const Transferable& listed);
  void check(const Entry& entry) const;
  std::uint32_t index_of(const Entry& entry) const noexcept;
  std::uint32_t append(Entry entry);
  void forget_entries() noexcept;
  void detach(Entry& entry) noexcept;
  void add_to_table(const Entry& entry);
  std::error_code send_marked(Endpoint& endpoint);
  void undo_moves() noexcept;
  std::error_code send_packets(Endpoint& endpoint);

  PortState& carrier_;
  std::list<Entry> entries_;  // takes no memory while it is empty, and entries stay where they are
  FileDescriptor body_;
  std::uint64_t body_bytes_ = 0;
  std::size_t moving_ = 0;  // entries that are marked in transit
  std::span<const wire::Attachment> relayed_;
  std::vector<FileDescriptor>* relayed_descriptors_ = nullptr;  // null: nothing is
  std::vector<wire::Attachment> table_;
  std::vector<int> numbers_;
  std::uint64_t generation_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace portolan::port
