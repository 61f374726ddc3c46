// SPDX-License-Identifier: Apache-2.0

// Ports that are held for the successors of their owners: duplicates of two descriptors each, of which
// nothing is ever mapped. What becomes of them is read from the generations in their segments.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/custody_store.hpp"
#include "broker/office.hpp"
#include "port/parcel.hpp"

namespace portolan::broker {

class Custody {
 public:
  Custody(Office& office, CustodyStore store);
  Custody(const Custody&) = delete;
  Custody& operator=(const Custody&) = delete;

  /// What the broker before this one has left with the store.
  void restore(std::vector<StoredDescriptor> found);
  void keep(Connection& from, const wire::NamePacket& request, std::vector<FileDescriptor> descriptors);
  void reclaim(Connection& from, const wire::NamePacket& request);
  void drop(Connection& from, const wire::NamePacket& request);
  /// The connection is gone, which says nothing about its process.
  void forget(const Connection& connection) noexcept;
  /// In a forked child: closes the copies.
  void disown() noexcept;
  /// The pidfd of an owner is readable.
  void owner_ended(std::uint64_t owner);

  [[nodiscard]] std::size_t size() const noexcept { return kept_.size(); }
  /// Whether its successor would find ports there.
  [[nodiscard]] bool holds_for(const std::string& name) const noexcept;

 private:
  struct Owner {
    std::uint64_t id = 0;
    std::shared_ptr<Process> process;
    std::uint64_t connection = 0;  // 0: closed
    bool ended = false;
    std::size_t ports = 0;
  };
  struct Kept {
    port::Parcel parcel;
    std::uint32_t uid = 0;
    std::uint64_t owner = 0;
    std::uint64_t duration_ns = 0;
    bool handed_on = false;  // to its owner, who was to recover it
    TimerId deadline = TimerId::none;
    CustodyStore::Stored stored = {};
  };
  using Key = std::pair<std::string, std::string>;  // name, label
  using Entry = std::map<Key, Kept>::iterator;
  struct Claim {
    std::uint64_t connection;
    wire::NamePacket request;
    TimerId deadline;
  };

  [[nodiscard]] wire::NamePacket record_of(const Key& key, const Kept& kept) const;
  Owner& owner_of(const Connection& connection);
  void release_owner(std::uint64_t owner) noexcept;
  Entry let_go(Entry kept) noexcept;
  [[nodiscard]] port::Custody look(Entry entry) noexcept;
  void orphan(Entry kept);
  void expire(const Key& key);
  [[nodiscard]] bool ready_for(const Connection& successor, const std::string& name) const noexcept;
  bool hand_over(Connection& successor, const Claim& claim);
  void try_claims();
  void sweep();

  Office& office_;
  CustodyStore store_;
  std::map<Key, Kept> kept_;
  std::map<std::uint64_t, Owner> owners_;
  std::uint64_t last_owner_ = 0;
  std::vector<Claim> claims_;
  TimerId sweep_ = TimerId::none;
};

}  // namespace portolan::broker
