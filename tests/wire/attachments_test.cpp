// SPDX-License-Identifier: Apache-2.0

// Attachment blocks: round trips, each fault, and mutations of every byte.
#include "wire/attachments.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <random>
#include <span>
#include <vector>

using namespace portolan::wire;

namespace {

constexpr AttachmentLimits kLimits{8, 1U << 20U};

Attachment port() {
  Attachment entry;
  entry.kind = AttachmentKind::port;
  entry.side = Side::b;
  entry.trust = TrustLevel::foreign;
  entry.expected_generation = 0x8000'0000'0000'0005;
  for (std::size_t i = 0; i < entry.channel.size(); ++i) entry.channel[i] = static_cast<std::byte>(0xf0 + i);
  entry.size_bytes = kLimits.max_size_bytes;
  return entry;
}

Attachment descriptor() {
  return {};
}

Attachment body(std::uint64_t size_bytes) {
  Attachment entry;
  entry.kind = AttachmentKind::large_body;
  entry.size_bytes = size_bytes;
  return entry;
}

Attachment buffer(std::uint64_t offset_bytes, std::uint64_t size_bytes) {
  Attachment entry;
  entry.kind = AttachmentKind::buffer;
  entry.access = BufferAccess::view;
  entry.offset_bytes = offset_bytes;
  entry.size_bytes = size_bytes;
  return entry;
}

std::vector<std::byte> write(const std::vector<Attachment>& entries, std::uint64_t number = 3) {
  std::vector<std::byte> bytes(attachments_bytes(entries.size()));
  write_attachments(bytes, 17, number, entries);
  return bytes;
}

AttachmentFault fault_of(std::span<const std::byte> bytes) {
  Attachments found;
  found.entries.resize(1);
  const AttachmentFault fault = read_attachments(bytes, kLimits, found);
  if (fault != AttachmentFault::none) CHECK(found == Attachments{});
  return fault;
}

AttachmentFault fault_of(const std::vector<Attachment>& entries) {
  return fault_of(write(entries));
}

// The fault after one byte of an entry was set.
AttachmentFault fault_with(const Attachment& entry, std::size_t offset, unsigned value) {
  auto bytes = write({entry});
  bytes[kAttachmentsHeadBytes + offset] = static_cast<std::byte>(value);
  return fault_of(bytes);
}

const std::vector<Attachment> kAll{body(5), port(), descriptor(), buffer(4096, 100), port()};

}  // namespace

TEST_CASE("a block of every kind comes back as it was, whatever follows it") {
  auto bytes = write(kAll);
  CHECK(bytes.size() == 24 + 5 * 40);
  bytes.resize(bytes.size() + 100, std::byte{0xee});
  Attachments found;
  REQUIRE(read_attachments(bytes, kLimits, found) == AttachmentFault::none);
  CHECK(found.generation == 17);
  CHECK(found.number == 3);
  CHECK(found.descriptor_count == 7);
  CHECK(found.entries == kAll);
}

TEST_CASE("a block without attachments and one with the most are read") {
  CHECK(fault_of(std::vector<Attachment>{}) == AttachmentFault::none);
  CHECK(fault_of(std::vector(kLimits.max_attachments, port())) == AttachmentFault::none);
  CHECK(fault_of(std::vector(kLimits.max_attachments + 1, port())) == AttachmentFault::too_many);
}

TEST_CASE("a block that the frame cuts anywhere is too short") {
  const auto bytes = write(kAll);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(fault_of(std::span(bytes).first(size)) == AttachmentFault::too_short);
  }
}

TEST_CASE("counts that do not fit are refused before anything is made for them") {
  auto bytes = write(kAll);
  for (const std::size_t count_byte : {16U, 17U, 18U, 19U}) {
    auto changed = bytes;
    changed[count_byte] = std::byte{0xff};
    CHECK(fault_of(changed) == AttachmentFault::too_many);
  }
  for (const std::size_t descriptor_byte : {20U, 21U, 22U, 23U}) {
    auto changed = bytes;
    changed[descriptor_byte] = std::byte{0xff};
    CHECK(fault_of(changed) == AttachmentFault::wrong_count);
  }
  CHECK(fault_of(write(kAll, 0)) == AttachmentFault::wrong_number);
}

TEST_CASE("fields have only the values and the places that their kind has for them") {
  CHECK(fault_with(port(), 0, 0) == AttachmentFault::unknown_kind);
  CHECK(fault_with(port(), 0, 5) == AttachmentFault::unknown_kind);
  CHECK(fault_with(port(), 1, 2) == AttachmentFault::wrong_field);
  CHECK(fault_with(port(), 2, 2) == AttachmentFault::wrong_field);
  CHECK(fault_with(port(), 3, 1) == AttachmentFault::wrong_field);
  CHECK(fault_with(buffer(0, 1), 1, 1) == AttachmentFault::wrong_field);
  CHECK(fault_with(buffer(0, 1), 3, 4) == AttachmentFault::wrong_field);
  CHECK(fault_with(buffer(0, 1), 20, 1) == AttachmentFault::wrong_field);
  CHECK(fault_with(descriptor(), 2, 1) == AttachmentFault::wrong_field);
  CHECK(fault_with(descriptor(), 8, 1) == AttachmentFault::wrong_field);
  CHECK(fault_with(body(1), 8, 1) == AttachmentFault::wrong_field);
  for (std::size_t zero = 4; zero < 8; ++zero)
    CHECK(fault_with(port(), zero, 1) == AttachmentFault::wrong_field);
}

TEST_CASE("sizes stay within the limit, and sums do not wrap") {
  CHECK(fault_with(descriptor(), 32, 1) == AttachmentFault::wrong_size);
  CHECK(fault_of({body(0)}) == AttachmentFault::wrong_size);
  CHECK(fault_of({body(kLimits.max_size_bytes)}) == AttachmentFault::none);
  CHECK(fault_of({body(kLimits.max_size_bytes + 1)}) == AttachmentFault::wrong_size);
  CHECK(fault_with(port(), 39, 0x80) == AttachmentFault::wrong_size);
  CHECK(fault_of({buffer(0, 0)}) == AttachmentFault::none);
  CHECK(fault_of({buffer(kLimits.max_size_bytes - 1, 1)}) == AttachmentFault::none);
  CHECK(fault_of({buffer(kLimits.max_size_bytes, 1)}) == AttachmentFault::wrong_size);
  CHECK(fault_of({buffer(UINT64_MAX, 2)}) == AttachmentFault::wrong_size);
  CHECK(fault_of({buffer(1, UINT64_MAX)}) == AttachmentFault::wrong_size);
  for (const unsigned whole : {0U, 1U, 2U}) {
    CHECK(fault_with(buffer(0, 1), 3, whole) == AttachmentFault::none);
    CHECK(fault_with(buffer(1, 1), 3, whole) == AttachmentFault::wrong_size);
  }
}

TEST_CASE("a large body stands first or nowhere") {
  CHECK(fault_of({port(), body(1)}) == AttachmentFault::misplaced_body);
  CHECK(fault_of({body(1), body(1)}) == AttachmentFault::misplaced_body);
}

TEST_CASE("whatever is read writes the same bytes") {
  std::minstd_rand random(20'261'122);
  std::size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    auto bytes = write(kAll);
    for (unsigned change = 0; change <= random() % 3; ++change) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 6);
    }
    Attachments found;
    if (read_attachments(bytes, kLimits, found) != AttachmentFault::none) continue;
    ++accepted;
    std::vector<std::byte> rewritten(attachments_bytes(found.entries.size()));
    write_attachments(rewritten, found.generation, found.number, found.entries);
    REQUIRE(rewritten == bytes);
  }
  CHECK(accepted > 1000);  // else this tried nothing
}
