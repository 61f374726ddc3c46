// SPDX-License-Identifier: Apache-2.0

// The descriptors that wait for an endpoint in its socket: found again by the number that their frame names.
// docs/ring-protocol.md: "Transfer", the receiver's half.
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

#include <portolan/file_descriptor.hpp>

#include "ring/layout.hpp"
#include "wire/packet.hpp"

namespace portolan::port {

class Arrivals {
 public:
  enum class Collected {
    all,        // the descriptors are there
    none,       // they never came or are gone: their frame is delivered without them
    cut,        // the kernel had no room after all and dropped some: they are closed
    refused,    // no room for so many descriptors now; nothing was taken
    violation,  // what lies in the socket is nothing that a correct peer sends
  };

  // From a foreign peer comes what may block in close, until it has been inspected.
  Arrivals(ring::DirectionLines& incoming, bool foreign) noexcept : lines_(&incoming), foreign_(foreign) {}

  // The descriptors of the transfer that a frame names. The caller holds off forks until they are owned
  // elsewhere. What it throws (std::bad_alloc) and what is refused leaves them where they are.
  Collected collect(int socket, std::uint64_t generation, std::uint64_t number,
                    std::uint32_t descriptor_count, std::vector<FileDescriptor>& descriptors,
                    std::error_code& refused);

  // Before a deep sleep: takes the doorbells out, so that the next one makes an edge, and leaves transfers
  // alone. False: there are more than it takes at a time, so do not sleep.
  [[nodiscard]] bool drain_doorbells(int socket) noexcept;

  // Whether packets wait whose frames have not been read: then the endpoint may be part of a cycle.
  bool untaken() const noexcept;

  // What collect() gave cannot be used now: the next collect() of the same transfer gives it again.
  void put_back(std::uint64_t generation, std::uint64_t number,
                std::vector<FileDescriptor> descriptors) noexcept;
  // The same for one that is collected before the turn of its frame, whatever has come of it; any number of
  // them. Throws std::bad_alloc, and then nothing was collected.
  Collected collect_early(int socket, std::uint64_t generation, std::uint64_t number,
                          std::uint32_t descriptor_count, std::error_code& refused);
  // Then the endpoint cannot move: what it was given is no longer in the socket.
  bool has_put_back() const noexcept { return put_back_.has_value() || !early_.empty(); }
  void discard_put_back() noexcept {
    put_back_.reset();
    early_.clear();
  }

 private:
  struct Received {
    wire::Packet packet;
    std::vector<FileDescriptor> descriptors;
    bool cut = false;
    std::vector<FileDescriptor> opened = {};  // what was taken out of a bundle before the kernel refused more
  };
  enum class Next { packet, nothing, violation, refused };

  Next look(int socket, wire::Packet& packet, unsigned& packets_left, std::error_code& refused);
  // One more than `announced` is taken, so that more is seen to be more.
  Next receive(int socket, std::uint32_t announced, Received& received, std::error_code& refused) const;
  static bool drop(int socket) noexcept;
  Collected open(Received received, std::uint32_t descriptor_count, std::vector<FileDescriptor>& descriptors,
                 std::error_code& refused);
  Collected open_bundle(Received received, std::uint32_t descriptor_count,
                        std::vector<FileDescriptor>& descriptors, std::error_code& refused);
  Collected take_bundle(int bundle, std::uint32_t descriptor_count, std::vector<FileDescriptor>& descriptors,
                        std::error_code& refused) const;

  ring::DirectionLines* lines_;
  bool foreign_;
  std::optional<Received> put_back_;
  std::vector<Received> early_;
};

}  // namespace portolan::port
