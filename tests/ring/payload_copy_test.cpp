// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <span>
#include <vector>

#include <portolan/lane/payload_copy.hpp>

namespace {

void check_copies(void (*copy)(std::byte* to, const std::byte* from, std::size_t bytes)) {
  constexpr std::size_t kPage = 4096;
  std::vector<std::byte> from(3 * kPage), to(3 * kPage);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 31 + i / 256);
  const auto page_of = [](std::vector<std::byte>& bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    return bytes.data() + (kPage - address % kPage) % kPage;
  };
  std::byte* const source = page_of(from);
  std::byte* const target = page_of(to);
  for (const std::size_t bytes : {1U, 2047U, 2048U, 2049U, 4096U, 5001U})
    for (const std::size_t source_at : {0U, 8U, 100U})
      for (std::size_t ahead = 0; ahead <= 40; ++ahead) {
        CAPTURE(bytes);
        CAPTURE(ahead);
        std::fill(to.begin(), to.end(), std::byte{0xee});
        std::byte* const into = target + source_at + ahead;
        copy(into, source + source_at, bytes);
        CHECK(std::equal(into, into + bytes, source + source_at));
        CHECK(std::all_of(to.data(), into, [](std::byte each) { return each == std::byte{0xee}; }));
        CHECK(std::all_of(into + bytes, to.data() + to.size(),
                          [](std::byte each) { return each == std::byte{0xee}; }));
      }
}

TEST_CASE("a payload is copied whole, and nothing beside it, wherever its ends stand within a page") {
  check_copies([](std::byte* to, const std::byte* from, std::size_t bytes) {
    portolan::lane::copy_payload(to, from, bytes);
  });
}

TEST_CASE("so it is backwards, whatever processor this is") {
  check_copies(portolan::lane::copy_backwards);
}

}  // namespace
