// SPDX-License-Identifier: Apache-2.0

// Kept ports with whoever outlives the broker, such as systemd: four descriptors each, under names of one
// number. What there is to know of a port stands in a memory file that is one of them, and is written again
// when it changes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <portolan/broker.hpp>

#include "port/parcel.hpp"
#include "wire/name_packet.hpp"

namespace portolan::broker {

class CustodyStore {
 public:
  explicit CustodyStore(DescriptorStore store) noexcept : store_(std::move(store)) {}

  struct Stored {
    std::uint64_t number = 0;  // 0: it is not stored
    FileDescriptor record;
  };
  struct Restored {
    Stored stored;
    wire::NamePacket record;  // a keep of its owner; code: it was handed on to that one
    port::Parcel parcel;
    FileDescriptor owner;  // a pidfd; none if it has ended
  };

  /// Nothing is stored if there is nobody to store it, or no room: then it is kept as long as the broker
  /// lives.
  [[nodiscard]] Stored put(const port::Parcel& parcel, const wire::NamePacket& record, int owner);
  void update(const Stored& stored, const wire::NamePacket& record) noexcept;
  void change_owner(const Stored& stored, const wire::NamePacket& record, int owner);
  void remove(const Stored& stored) noexcept;

  /// Those of which all is there; the rest is forgotten. Called once, before anything is put.
  [[nodiscard]] std::vector<Restored> restore(std::vector<StoredDescriptor> found);

 private:
  DescriptorStore store_;
  std::uint64_t last_number_ = 0;
};

}  // namespace portolan::broker
