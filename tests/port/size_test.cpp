// SPDX-License-Identifier: Apache-2.0

// Messages of every size at which something changes: words, the first extent, blocks, extents, files of their
// own.
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

void add_around(std::vector<std::uint64_t>& sizes, std::uint64_t middle, std::uint64_t reach) {
  for (std::uint64_t size = middle - std::min(middle, reach); size <= middle + reach; ++size)
    sizes.push_back(size);
}

bool holds(Received& received, std::uint64_t size) {
  const std::span<const std::byte> expected = pattern(size, size);
  return received && received->bytes().size() == size &&
         (size == 0 || std::memcmp(received->bytes().data(), expected.data(), size) == 0);
}

// The child reads them all and compares; every third one goes back, so that the other direction is seen too.
void send_all(const std::vector<std::uint64_t>& sizes, std::uint64_t limit_bytes) {
  MessageChannel channel({.limit_bytes = limit_bytes});
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [&](Ports& ports) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      Received received = ports[0].receive();
      PORTOLAN_CHILD_REQUIRE(holds(received, sizes[i]));
      if (i % 3 == 0)
        PORTOLAN_CHILD_REQUIRE(ports[0].post_message_for(kPatience, received->bytes()) == PostResult::posted);
    }
    return 0;
  });
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    REQUIRE(channel.port1.post_message_for(kPatience, pattern(sizes[i], sizes[i])) == PostResult::posted);
    if (i % 3 != 0) continue;
    Received back = channel.port1.receive();
    const bool same = holds(back, sizes[i]);
    REQUIRE_MESSAGE(same, "size " << sizes[i]);
  }
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(child.wait() == ChildExit::exited(0));
}

}  // namespace

TEST_CASE("messages of 0 bytes, 1 byte, 64 KiB and 70 MiB arrive as they were posted") {
  const PortCensus census;
  send_all({0, 1, 64 << 10, 70 << 20, 1, 0, 70 << 20, 3}, 64 << 20);
}

TEST_CASE("messages of every size around the first extent, blocks and extents arrive as they were posted") {
  const PortCensus census;
  std::vector<std::uint64_t> sizes;
  add_around(sizes, 450, 500);  // the first extent holds 896 bytes
  for (const std::uint64_t blocks : {1U, 2U, 3U}) add_around(sizes, blocks * 64 * 1024, 40);
  send_all(sizes, 1 << 20);
}

TEST_CASE(
    "messages of every size around small blocks and around a quarter of the limit arrive as they were "
    "posted") {
  const PortCensus census;
  std::vector<std::uint64_t> sizes;
  for (const std::uint64_t blocks : {1U, 2U, 3U, 4U})
    add_around(sizes, blocks * 4096, 40);  // 4 blocks: a quarter
  send_all(sizes, 64 << 10);
}

TEST_CASE("a message of a reservation that was cut short is as long as was committed") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  std::vector<std::uint64_t> sizes;
  add_around(sizes, 820, 60);
  add_around(sizes, 65'536, 20);
  for (const std::uint64_t size : sizes) {
    Space space = channel.port1.reserve(size + size / 2);
    const std::span<const std::byte> expected = pattern(size, size);
    std::memcpy(space.bytes().data(), expected.data(), size);
    space.commit(size);
    Received received = channel.port2.receive();
    const bool same = holds(received, size);
    REQUIRE_MESSAGE(same, "size " << size);
  }
}
