// SPDX-License-Identifier: Apache-2.0

// What the ring's fuzz target does, without a fuzzer or a sanitizer, and so many times as fast: scripts at
// random over a hostile peer's memory, between unmapped pages, with every load answered and counted.
// PORTOLAN_HOSTILE_OPERATIONS: how many calls of the ring.
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <vector>

#include "ring/hostile_ring.hpp"
#include "ring/random_seed.hpp"
#include "words/answered_words.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

std::uint64_t wished_operations() {
  const char* const wished = std::getenv("PORTOLAN_HOSTILE_OPERATIONS");
  return wished != nullptr ? std::strtoull(wished, nullptr, 10) : 1'000'000;
}

// Long, so that the peer's memory need not be made anew for a few calls; both ends adopt it first.
void write_script(std::vector<std::uint8_t>& script, Dice& dice) {
  constexpr std::size_t kMostWords = 1024;
  script.resize(dice.roll(1, kMostWords) * sizeof(std::uint64_t));
  for (std::size_t at = 0; at < script.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = dice.word();
    std::memcpy(script.data() + at, &word, sizeof word);
  }
  script[0] = 3;
  script[2] = 4;
}

}  // namespace

TEST_CASE("a million hostile operations end inside the memory, and load each control word once" *
          doctest::timeout(3600)) {
  const std::uint64_t seed = random_seed(), wished = wished_operations();
  CAPTURE(seed);
  RingMemory memory;
  const std::span<const std::byte> lines = memory.lines_bytes();
  AnsweredWords words(lines.first(offsetof(ring::DirectionLines, first_extent)),
                      {lines.data(), memory.blocks().data() + memory.blocks().size()});
  std::vector<std::uint8_t> script;
  std::uint64_t operations = 0, messages = 0, scripts = 0;
  for (; operations < wished; ++scripts) {
    CAPTURE(scripts);
    Dice dice(seed + scripts);
    write_script(script, dice);
    HostileRing hostile(memory, words);
    HOLDS(hostile.run(script));
    operations += hostile.operations();
    messages += hostile.messages();
  }
  std::printf("%llu hostile operations in %llu scripts, %llu messages came through\n",
              static_cast<unsigned long long>(operations), static_cast<unsigned long long>(scripts),
              static_cast<unsigned long long>(messages));
  std::fflush(stdout);
  CHECK(messages > operations / 1000);
}
