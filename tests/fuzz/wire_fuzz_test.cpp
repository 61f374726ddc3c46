// SPDX-License-Identifier: Apache-2.0

// Mutations of what a peer sends. Nothing may be read outside of the bytes, which the sanitizers see: each
// mutation has memory of exactly its size. And what is accepted is what the writer would have written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ring/random_seed.hpp"
#include "wire/attachments.hpp"
#include "wire/endpoint_text.hpp"
#include "wire/packet.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

std::uint64_t cases() {
  const char* const count = std::getenv("PORTOLAN_FUZZ_CASES");
  return count != nullptr ? std::strtoull(count, nullptr, 10) : 500'000;
}

// A few bytes changed, most of them to values that mean something somewhere, and now and then another length.
std::unique_ptr<std::byte[]> mutated(std::span<const std::byte> original, Dice& dice, std::size_t& size) {
  constexpr std::uint8_t kTelling[] = {0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0xfe, 0xff};
  size = dice.one_in(4) ? dice.roll(0, original.size() + 8) : original.size();
  std::unique_ptr<std::byte[]> bytes(new std::byte[size]{});
  std::copy_n(original.data(), std::min(size, original.size()), bytes.get());
  for (std::uint64_t changes = dice.roll(0, 4); changes > 0 && size > 0; --changes)
    bytes[dice.roll(0, size - 1)] = static_cast<std::byte>(
        dice.one_in(2) ? kTelling[dice.roll(0, std::size(kTelling) - 1)] : dice.roll(0, 255));
  return bytes;
}

}  // namespace

TEST_CASE("a mutated packet is refused or is one that encode() writes") {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Dice dice(seed);
  std::uint64_t accepted = 0;
  for (std::uint64_t one = 0; one < cases(); ++one) {
    const auto original = wire::encode({wire::PacketKind::transfer, 2, dice.word(), dice.word() | 1});
    std::size_t size = 0;
    const auto bytes = mutated(original, dice, size);
    const auto packet = wire::decode_packet({bytes.get(), size});
    if (!packet) continue;
    ++accepted;
    const auto again = wire::encode(*packet);
    HOLDS(size == again.size() && std::memcmp(bytes.get(), again.data(), size) == 0);
  }
  CHECK(accepted > 0);
}

TEST_CASE("a mutated table is refused, or is within the limits and reads the same once written again") {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Dice dice(seed);
  const wire::AttachmentLimits limits{16, 1 << 20};
  std::vector<wire::Attachment> entries(3);
  entries[0].kind = wire::AttachmentKind::large_body;
  entries[1].kind = wire::AttachmentKind::port;
  entries[2].kind = wire::AttachmentKind::descriptor;
  entries[0].size_bytes = entries[1].size_bytes = 4096;
  entries[1].channel.fill(std::byte{7});
  std::vector<std::byte> original(wire::attachments_bytes(entries.size()));
  wire::write_attachments(original, 4, 1, entries);
  std::uint64_t accepted = 0;
  for (std::uint64_t one = 0; one < cases(); ++one) {
    std::size_t size = 0;
    const auto bytes = mutated(original, dice, size);
    wire::Attachments table, again;
    if (wire::read_attachments({bytes.get(), size}, limits, table) != wire::AttachmentFault::none) {
      HOLDS(table.entries.empty());
      continue;
    }
    ++accepted;
    HOLDS(table.entries.size() <= limits.max_attachments);
    HOLDS(table.descriptor_count == wire::count_descriptors(table.entries));
    std::vector<std::byte> written(wire::attachments_bytes(table.entries.size()));
    wire::write_attachments(written, table.generation, table.number, table.entries);
    HOLDS(wire::read_attachments(written, limits, again) == wire::AttachmentFault::none && again == table);
  }
  CHECK(accepted > 0);
}

TEST_CASE("a mutated text of endpoints is refused or is one that format_endpoints() writes") {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Dice dice(seed);
  wire::ChannelId channel{};
  channel.fill(std::byte{7});
  const std::vector<wire::EndpointText> endpoints{{3, 4, 1, wire::Side::a, channel, "first"},
                                                  {5, 6, 3, wire::Side::b, channel, "second"}};
  const std::string original = wire::format_endpoints(endpoints);
  std::uint64_t accepted = 0;
  for (std::uint64_t one = 0; one < cases(); ++one) {
    std::size_t size = 0;
    const auto bytes = mutated(std::as_bytes(std::span(original)), dice, size);
    const std::string_view text(reinterpret_cast<const char*>(bytes.get()), size);
    const auto parsed = wire::parse_endpoints(text);
    if (!parsed) continue;
    ++accepted;
    HOLDS(wire::format_endpoints(*parsed) == text);
  }
  CHECK(accepted > 0);
}
