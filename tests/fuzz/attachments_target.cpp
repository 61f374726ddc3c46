// SPDX-License-Identifier: Apache-2.0

#include "fuzz/target.hpp"
#include "wire/attachments.hpp"

namespace portolan::fuzz {

namespace {

constexpr wire::AttachmentLimits kLimits{1024, 1 << 20};

}  // namespace

bool read(std::span<const std::byte> input) {
  wire::Attachments table;
  if (wire::read_attachments(input, kLimits, table) != wire::AttachmentFault::none) {
    FUZZ_HOLDS(table.entries.empty());
    return false;
  }
  FUZZ_HOLDS(table.entries.size() <= kLimits.max_attachments);
  FUZZ_HOLDS(table.descriptor_count == wire::count_descriptors(table.entries));
  Input written(wire::attachments_bytes(table.entries.size()));
  wire::write_attachments(written, table.generation, table.number, table.entries);
  wire::Attachments again;
  FUZZ_HOLDS(wire::read_attachments(written, kLimits, again) == wire::AttachmentFault::none &&
             again == table);
  return true;
}

std::vector<Input> seeds() {
  std::vector<wire::Attachment> entries(4);
  entries[0].kind = wire::AttachmentKind::large_body;
  entries[1].kind = wire::AttachmentKind::port;
  entries[2].kind = wire::AttachmentKind::descriptor;
  entries[3].kind = wire::AttachmentKind::buffer;
  entries[0].size_bytes = entries[1].size_bytes = entries[3].size_bytes = 4096;
  entries[1].channel.fill(std::byte{7});
  std::vector<Input> tables;
  for (std::size_t count = 1; count <= entries.size(); ++count) {
    Input table(wire::attachments_bytes(count));
    wire::write_attachments(table, 4, 1, std::span(entries).first(count));
    tables.push_back(std::move(table));
  }
  return tables;
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return 1024 + 8 * input_bytes;  // two tables, and one written
}

}  // namespace portolan::fuzz
