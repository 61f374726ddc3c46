// SPDX-License-Identifier: Apache-2.0

// An endpoint that nobody uses yet: two descriptors and what is known of them. A new channel is two parcels,
// a received port is one; neither has been mapped. The first use adopts it, and passing it on needs no
// mapping at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <portolan/close_event.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/trust.hpp>

#include "ring/geometry.hpp"
#include "ring/layout.hpp"
#include "wire/attachments.hpp"

namespace portolan::port {

// What a closed endpoint leaves in its line: 0 while it is open.
constexpr std::uint32_t closed_word(CloseReason reason) noexcept {
  return static_cast<std::uint32_t>(reason) + 1;
}

// Any word may stand there: a peer writes it.
constexpr CloseReason close_reason_of(std::uint32_t word) noexcept {
  if (word == 0 || word > closed_word(CloseReason::owner_gone)) return CloseReason::peer_died;
  return static_cast<CloseReason>(word - 1);
}

struct Parcel {
  FileDescriptor segment;
  FileDescriptor socket;
  ring::ChannelId channel;
  ring::Side side = ring::Side::a;
  Trust trust = Trust::same_user;
  // Odd: in transit, as every endpoint is before its first use. Whoever swaps it for the next even one owns
  // the endpoint, so that two holders have one winner.
  std::uint64_t expected_generation = 1;
  std::uint64_t segment_bytes = 0;
  // The segment is a file of that size with the seals of one, which keep it so for good.
  bool inspected = false;
};

// An owner's generation is even; the next owner's is the next even number, whether it was in transit or its
// owner died.
constexpr std::uint64_t next_generation(std::uint64_t expected) noexcept {
  return (expected | 1) + 1;
}

// 32 hexadecimal digits.
std::string to_text(const ring::ChannelId& channel);

struct ChannelShape {
  std::uint64_t limit_bytes;
  std::string_view label;
  Trust trust;
  bool prefault;
};

// Both ends of a new channel. Throws PortError.
std::pair<Parcel, Parcel> make_channel(const ChannelShape& shape);
// The same over a connection whose other end another process has: the second parcel has no socket here.
std::pair<Parcel, Parcel> make_channel_over(FileDescriptor connection, const ChannelShape& shape);

// What a port's descriptors must be, before anything trusts them; asks nothing that could block. Empty: all
// is well. `carrier_inode` is that of the socket that they came over, or 0. `refused`, if it is asked for, is
// set where it is the kernel that does not say now what they are.
std::string inspect_parcel(Parcel& parcel, std::uint64_t carrier_inode, std::error_code* refused = nullptr);

// Reads what the segment says about itself into the parcel (channel, trust, size); the text says why it
// cannot, and `refused` as above.
std::string read_header(Parcel& parcel, std::error_code* refused = nullptr);

// Of an endpoint whose owner is dead, kept when its generation was the expected one: what an adopter must
// find now. An odd one stands for the owner that was to adopt it and may have done so.
enum class Custody : std::uint8_t { recoverable, in_transit, someone_elses };
Custody read_present_generation(Parcel& parcel) noexcept;
// The same for a keeper that has handed duplicates to a successor, who was to recover it and may have done
// so.
Custody read_generation_after_successor(Parcel& parcel) noexcept;
// Whether its owner has closed it, so that there is nothing to keep.
bool closed_by_owner(const Parcel& parcel) noexcept;

wire::Attachment describe(const Parcel& parcel) noexcept;
Parcel parcel_from(const wire::Attachment& description, FileDescriptor segment,
                   FileDescriptor socket) noexcept;

// Whether packets wait in its socket whose frames nobody has read.
bool untaken_transfers_of(const Parcel& parcel) noexcept;

// Tells the peer that this end is closed, if the generation still is the expected one, and leaves the
// descriptors to the caller.
bool end_parcel(const Parcel& parcel, CloseReason reason) noexcept;

// Closes an endpoint that was never used: its peer is told the reason, and what was queued for it is closed.
void close_parcel(Parcel& parcel, CloseReason reason) noexcept;

}  // namespace portolan::port
