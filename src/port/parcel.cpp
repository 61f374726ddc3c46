// SPDX-License-Identifier: Apache-2.0

#include "port/parcel.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <portolan/error.hpp>

#include "os/memory_file.hpp"
#include "os/process.hpp"
#include "os/random.hpp"
#include "os/socket.hpp"
#include "port/fork_guard.hpp"
#include "port/segment.hpp"

namespace portolan::port {

namespace {

ring::Header make_header(const ChannelShape& shape, ring::Geometry geometry) {
  ring::Header header{};
  header.magic = ring::kMagic;
  header.layout_version = ring::kLayoutVersion;
  header.trust = static_cast<std::uint8_t>(shape.trust);
  const auto [high, low] = os::random_words();
  header.id = {high, low};
  header.segment_bytes = geometry.segment_bytes();
  header.block_bytes = geometry.block_bytes;
  header.block_count = geometry.block_count;
  header.limit_bytes = geometry.direction_bytes();
  header.creator_pid = os::process_id();
  const std::string_view label = shape.label.substr(0, sizeof header.label - 1);
  std::copy(label.begin(), label.end(), header.label);
  return header;
}

// The beginning of the page, written without a mapping: the generations are born odd, everything else is
// zero.
struct Beginning {
  ring::Header header;
  std::uint64_t generation_of_a;
  std::byte rest_of_line[ring::kLineBytes - 8];
  std::uint64_t generation_of_b;
};
static_assert(offsetof(Beginning, generation_of_a) == offsetof(ring::ControlPage, generation));
static_assert(offsetof(Beginning, generation_of_b) ==
              offsetof(ring::ControlPage, generation) + ring::kLineBytes);

constexpr std::size_t place_of_closed(ring::Side side) noexcept {
  return offsetof(ring::ControlPage, endpoint) + static_cast<std::size_t>(side) * sizeof(ring::EndpointLine) +
         offsetof(ring::EndpointLine, closed);
}

std::string fault_of(const os::FileInspection& file, std::error_code* refused) {
  if (refused != nullptr) *refused = file.refused;
  return "its segment is none: " + std::string(os::describe(file.fault));
}

// 0, which no generation is once the channel is made, if it cannot be read.
std::uint64_t present_generation(const Parcel& parcel) noexcept {
  const std::size_t place = offsetof(ring::ControlPage, generation) +
                            static_cast<std::size_t>(parcel.side) * sizeof(ring::GenerationLine);
  std::uint64_t present = 0;
  if (os::read_at(parcel.segment.get(), std::as_writable_bytes(std::span(&present, 1)), place)) return 0;
  return present;
}

}  // namespace

std::string to_text(const ring::ChannelId& channel) {
  char digits[33];
  std::snprintf(digits, sizeof digits, "%016llx%016llx", static_cast<unsigned long long>(channel.high),
                static_cast<unsigned long long>(channel.low));
  return digits;
}

namespace {

// Its parcels have no sockets yet.
std::pair<Parcel, Parcel> make_ends(const ChannelShape& shape) {
  const ring::Geometry geometry = ring::Geometry::for_limit(shape.limit_bytes);
  if (shape.trust == Trust::foreign && geometry.segment_bytes() > kMostForeignSegmentBytes)
    throw PortError(
        std::make_error_code(std::errc::invalid_argument),
        "MessageChannel(" + std::to_string(shape.limit_bytes) +
            " bytes, Trust::foreign): no receiver would map so large a segment; use a limit_bytes of at "
            "most 128 MiB");
  FileDescriptor file = os::create_segment_file(geometry.segment_bytes());
  Beginning beginning{make_header(shape, geometry), 1, {}, 1};
  std::error_code refused = os::write_all(file.get(), std::as_bytes(std::span(&beginning, 1)), 0);
  if (!refused && shape.prefault) refused = os::allocate(file.get(), 0, geometry.segment_bytes());
  if (refused)
    throw PortError(refused, "MessageChannel(): no memory for the segment; use a smaller limit_bytes");
  FileDescriptor again = file.duplicate();
  return {Parcel{std::move(again),
                 {},
                 beginning.header.id,
                 ring::Side::a,
                 shape.trust,
                 1,
                 geometry.segment_bytes(),
                 true},
          Parcel{std::move(file),
                 {},
                 beginning.header.id,
                 ring::Side::b,
                 shape.trust,
                 1,
                 geometry.segment_bytes(),
                 true}};
}

}  // namespace

std::pair<Parcel, Parcel> make_channel(const ChannelShape& shape) {
  auto ends = make_ends(shape);
  std::array<FileDescriptor, 2> sockets = os::make_socket_pair();
  ends.first.socket = std::move(sockets[0]);
  ends.second.socket = std::move(sockets[1]);
  return ends;
}

std::pair<Parcel, Parcel> make_channel_over(FileDescriptor connection, const ChannelShape& shape) {
  auto ends = make_ends(shape);
  ends.first.socket = std::move(connection);
  return ends;
}

std::string inspect_parcel(Parcel& parcel, std::uint64_t carrier_inode, std::error_code* refused) {
  if (parcel.trust == Trust::foreign && parcel.segment_bytes > kMostForeignSegmentBytes)
    return "its segment is larger than one with Trust::foreign may be";
  const os::FileInspection file = os::inspect_file(parcel.segment.get(), os::FileRole::segment,
                                                   {parcel.segment_bytes, parcel.segment_bytes});
  if (!file) return fault_of(file, refused);
  const os::SocketFault socket = os::inspect_socket(parcel.socket.get(), carrier_inode, refused);
  if (socket != os::SocketFault::none) return "its socket is none: " + std::string(os::describe(socket));
  parcel.inspected = true;
  return {};
}

std::string read_header(Parcel& parcel, std::error_code* refused) {
  const os::FileInspection file =
      os::inspect_file(parcel.segment.get(), os::FileRole::segment, {ring::kControlBytes, kMostSegmentBytes});
  if (!file) return fault_of(file, refused);
  ring::Header header;
  if (const std::error_code error =
          os::read_at(parcel.segment.get(), std::as_writable_bytes(std::span(&header, 1)), 0)) {
    if (refused != nullptr) *refused = error;
    return "its segment cannot be read";
  }
  if (std::string fault = check_header(header, file.size_bytes); !fault.empty()) return fault;
  parcel.channel = header.id;
  parcel.trust = static_cast<Trust>(header.trust);
  parcel.segment_bytes = file.size_bytes;
  return {};
}

Custody read_present_generation(Parcel& parcel) noexcept {
  const std::uint64_t present = present_generation(parcel);
  const std::uint64_t kept = parcel.expected_generation;
  const std::uint64_t owned = (kept & 1) != 0 ? next_generation(kept) : kept;
  const bool in_transit = present == (owned | 1);
  if (present != kept && present != owned && !in_transit) return Custody::someone_elses;
  parcel.expected_generation = present;
  return in_transit ? Custody::in_transit : Custody::recoverable;
}

Custody read_generation_after_successor(Parcel& parcel) noexcept {
  const std::uint64_t recovered = next_generation(parcel.expected_generation);
  const Custody before = read_present_generation(parcel);
  if (before != Custody::someone_elses) return before;
  parcel.expected_generation = recovered;
  return read_present_generation(parcel);
}

bool closed_by_owner(const Parcel& parcel) noexcept {
  std::uint32_t word = 0;
  if (os::read_at(parcel.segment.get(), std::as_writable_bytes(std::span(&word, 1)),
                  place_of_closed(parcel.side)))
    return true;
  return word != 0;
}

wire::Attachment describe(const Parcel& parcel) noexcept {
  wire::Attachment description;
  description.kind = wire::AttachmentKind::port;
  description.side = static_cast<wire::Side>(parcel.side);
  description.trust = static_cast<wire::TrustLevel>(parcel.trust);
  description.expected_generation = parcel.expected_generation;
  std::memcpy(description.channel.data(), &parcel.channel, sizeof parcel.channel);
  description.size_bytes = parcel.segment_bytes;
  return description;
}

Parcel parcel_from(const wire::Attachment& description, FileDescriptor segment,
                   FileDescriptor socket) noexcept {
  Parcel parcel;
  parcel.segment = std::move(segment);
  parcel.socket = std::move(socket);
  std::memcpy(&parcel.channel, description.channel.data(), sizeof parcel.channel);
  parcel.side = static_cast<ring::Side>(description.side);
  parcel.trust = static_cast<Trust>(description.trust);
  parcel.expected_generation = description.expected_generation;
  parcel.segment_bytes = description.size_bytes;
  return parcel;
}

bool untaken_transfers_of(const Parcel& parcel) noexcept {
  const auto writer = static_cast<std::size_t>(ring::other(parcel.side));
  const std::size_t lines = offsetof(ring::ControlPage, direction) + writer * sizeof(ring::DirectionLines);
  struct Numbers {
    ring::WriterLine writer;
    ring::SleepLine writer_sleep;
    ring::ReaderLine reader;
  } numbers{};
  static_assert(offsetof(ring::DirectionLines, reader) == offsetof(Numbers, reader));
  if (os::read_at(parcel.segment.get(), std::as_writable_bytes(std::span(&numbers, 1)), lines)) return false;
  // [T8] relaxed; pairs with [T5]: a private copy, made by the kernel.
  return numbers.writer.next_transfer.load(std::memory_order_relaxed) !=
         // [T1] relaxed; pairs with [T2]: likewise.
         numbers.reader.taken_transfer.load(std::memory_order_relaxed);
}

bool end_parcel(const Parcel& parcel, CloseReason reason) noexcept {
  if (present_generation(parcel) != parcel.expected_generation) return false;
  const std::uint32_t word = closed_word(reason);
  // The shutdown below comes after the write, and the peer looks at the flag after the hang-up.
  static_cast<void>(
      os::write_all(parcel.segment.get(), std::as_bytes(std::span(&word, 1)), place_of_closed(parcel.side)));
  os::shutdown_both(parcel.socket.get());
  return true;
}

void close_parcel(Parcel& parcel, CloseReason reason) noexcept {
  if (!parcel.socket) return;
  const NoForks no_forks;
  // Somebody else may have adopted the endpoint, and a shutdown here would act on that owner's socket.
  if (end_parcel(parcel, reason)) {
    os::discard_packets(parcel.socket.get());
    parcel.socket.reset();
    parcel.segment.reset();
  } else {
    parcel = {};
  }
}

}  // namespace portolan::port
