// SPDX-License-Identifier: Apache-2.0

// The sizes of a segment follow from the limit alone, for every limit.
#include "ring/geometry.hpp"

#include <doctest/doctest.h>

#include "ring/frame.hpp"

using namespace portolan::ring;

namespace {

// Around every power of two.
template <class F>
void for_each_limit(F&& check) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const std::uint64_t power = std::uint64_t{1} << bits;
    for (const std::uint64_t limit : {power - 1, power, power + 1, power + power / 3}) check(limit);
  }
  check(~std::uint64_t{0});
}

}  // namespace

TEST_CASE("a direction holds at least its limit, in blocks that a map can count") {
  for_each_limit([](std::uint64_t limit) {
    CAPTURE(limit);
    const Geometry geometry = Geometry::for_limit(limit);
    CHECK(Geometry::plausible(geometry.block_bytes, geometry.block_count));
    if (limit <= kMostLimitBytes) CHECK(geometry.direction_bytes() >= limit);
  });
}

TEST_CASE("more than twice the limit is never set aside, but for the least channel") {
  for_each_limit([](std::uint64_t limit) {
    CAPTURE(limit);
    const Geometry geometry = Geometry::for_limit(limit);
    if (limit >= 64 * 1024 && limit <= kMostLimitBytes) CHECK(geometry.direction_bytes() <= 2 * limit);
  });
}

TEST_CASE("a header can say the length of every frame that fits") {
  for_each_limit([](std::uint64_t limit) {
    CAPTURE(limit);
    const Geometry geometry = Geometry::for_limit(limit);
    const std::uint64_t largest = geometry.largest_frame_bytes();
    CHECK(static_cast<std::uint32_t>(largest) == largest);
    CHECK(Location(Run{0, 1}, largest + 2 * geometry.block_bytes).offset_bytes() ==
          largest + 2 * geometry.block_bytes);
  });
}

TEST_CASE("what a foreign header may say has bounds") {
  CHECK(Geometry::plausible(4096, 16));
  CHECK(!Geometry::plausible(2048, 16));
  CHECK(!Geometry::plausible(0, 16));
  CHECK(!Geometry::plausible(12288, 16));
  CHECK(!Geometry::plausible(4096, 15));
  CHECK(!Geometry::plausible(4096, 1025));
  CHECK(!Geometry::plausible(std::uint64_t{1} << 33, 16));
}
