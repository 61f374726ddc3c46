// SPDX-License-Identifier: Apache-2.0

// Names told from one end of a direction to the other, over the deaths of those who tell them, and whatever a
// hostile one writes there.
#include "ring/name_table.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <string_view>

#include "random_seed.hpp"
#include "ring_memory.hpp"

using namespace portolan::ring;
using portolan::testing::Dice;
using portolan::testing::random_seed;
using portolan::testing::RingMemory;

namespace {

std::string name_of(const RingMemory& memory, std::uint32_t number) {
  const NameList list(memory.lines());
  const std::span<const std::byte> name = list.find(number);
  return {reinterpret_cast<const char*>(name.data()), name.size()};
}

void tell(NameTable& table, std::uint32_t number, std::string_view name) {
  table.tell(number, std::as_bytes(std::span(name)));
}

std::uint32_t told_bytes(const RingMemory& memory) {
  return memory.lines().writer.name_bytes.load(std::memory_order_relaxed);
}

}  // namespace

TEST_CASE("a name is found under the number that it was told under, once") {
  const RingMemory memory;
  NameTable table(memory.lines());
  table.adopt();
  CHECK(!table.told_last(7));
  CHECK(name_of(memory, 7).empty());
  tell(table, 7, "Job");
  CHECK(table.told_last(7));
  tell(table, 0, "Jobs");
  CHECK(!table.told_last(7));
  const std::uint32_t bytes = told_bytes(memory);
  tell(table, 7, "Job");
  CHECK(told_bytes(memory) == bytes);
  CHECK(name_of(memory, 7) == "Job");
  CHECK(name_of(memory, 0) == "Jobs");
  CHECK(name_of(memory, 8).empty());
}

TEST_CASE("a table that is full keeps what it has") {
  const RingMemory memory;
  NameTable table(memory.lines());
  table.adopt();
  const std::string name(40, 'n');
  for (std::uint32_t number = 0; number < 100; ++number) tell(table, number, name);
  constexpr std::uint32_t kFit = kNameTableBytes / 45;
  for (std::uint32_t number = 0; number < 100; ++number)
    CHECK(name_of(memory, number) == (number < kFit ? name : ""));
  tell(table, 1000, std::string_view("short"));  // still fits behind the last
  CHECK(name_of(memory, 1000) == "short");
  tell(table, 1001, std::string(256, 'x'));
  CHECK(name_of(memory, 1001).empty());
}

TEST_CASE("names without letters fill the table and not more") {
  const RingMemory memory;
  NameTable table(memory.lines());
  table.adopt();
  for (std::uint32_t number = 0; number < 200; ++number) tell(table, number, "");
  CHECK(told_bytes(memory) == kMostNames * kNameHeadBytes);
}

TEST_CASE("the next owner goes on where the last one was, also in the middle of an entry") {
  const RingMemory memory;
  {
    NameTable first(memory.lines());
    first.adopt();
    tell(first, 1, "one");
    // Killed before the entry counts.
    std::memset(memory.lines().names + told_bytes(memory), 0xAA, 9);
  }
  NameTable next(memory.lines());
  next.adopt();
  const std::uint32_t bytes = told_bytes(memory);
  tell(next, 1, "one");
  CHECK(told_bytes(memory) == bytes);
  tell(next, 2, "two");
  CHECK(name_of(memory, 1) == "one");
  CHECK(name_of(memory, 2) == "two");
}

TEST_CASE("whatever stands in the table, it is read within its bounds and written within them") {
  Dice dice(random_seed());
  for (int round = 0; round < 20'000; ++round) {
    static const RingMemory memory;
    for (std::size_t at = 0; at < kNameTableBytes; at += 8) {
      const std::uint64_t word = dice.word();
      std::memcpy(memory.lines().names + at, &word, 8);
      if (dice.one_in(3)) memory.lines().names[at + 4] = std::byte{3};  // an entry that may be whole
    }
    const auto stated = static_cast<std::uint32_t>(dice.one_in(2) ? dice.roll(0, 400) : dice.word());
    memory.lines().writer.name_bytes.store(stated, std::memory_order_relaxed);
    const NameList list(memory.lines());
    HOLDS(list.whole_bytes() <= kNameTableBytes);
    std::size_t names = 0;
    list.for_each([&](std::uint32_t number) {
      ++names;
      const std::span<const std::byte> name = list.find(number);
      HOLDS(name.size() <= kMostNameBytes);
    });
    HOLDS(names <= kMostNames);
    const std::byte behind = memory.lines().first_extent[0];
    NameTable table(memory.lines());
    table.adopt();
    for (std::uint32_t number = 0; number < 100; ++number) tell(table, number, "a name");
    HOLDS((told_bytes(memory) <= kNameTableBytes || told_bytes(memory) == stated));
    HOLDS(memory.lines().first_extent[0] == behind);
  }
}
