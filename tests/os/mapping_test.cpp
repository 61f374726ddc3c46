// SPDX-License-Identifier: Apache-2.0

// Mappings: shared, not inherited, and replaceable under the same addresses.
#include "os/mapping.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <utility>

#include <portolan/error.hpp>

#include "os/memory_file.hpp"
#include "os/refused_call.hpp"
#include "support/child_process.hpp"
#include "support/resource_census.hpp"

using namespace portolan::os;
using portolan::FileDescriptor;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::ResourceCensus;

namespace {

const std::size_t kPage = page_bytes();

}  // namespace

TEST_CASE("two mappings of one file show the same bytes, from any page on") {
  const ResourceCensus census;
  FileDescriptor file = create_segment_file(4 * kPage);
  const Mapping whole(file.get(), Mapping::Access::read_write, 0, 4 * kPage);
  const Mapping part(file.get(), Mapping::Access::read_only, 2 * kPage, kPage);
  file.reset();
  REQUIRE(part.bytes().size() == kPage);
  whole.bytes()[2 * kPage + 7] = std::byte{42};
  CHECK(part.bytes()[7] == std::byte{42});
}

TEST_CASE("a moved mapping keeps its address and leaves nothing behind") {
  const FileDescriptor file = create_segment_file(kPage);
  Mapping first(file.get(), Mapping::Access::read_write, 0, kPage);
  std::byte* const address = first.bytes().data();
  Mapping second(std::move(first));
  CHECK_FALSE(first);
  CHECK(second.bytes().data() == address);
  first = std::move(second);
  CHECK(first.bytes().data() == address);
  CHECK_FALSE(second);
}

TEST_CASE("what cannot be mapped is an error with its reason") {
  const FileDescriptor file = create_segment_file(kPage);
  std::error_code error;
  CHECK_FALSE(Mapping::try_map(-1, Mapping::Access::read_write, 0, kPage, error));
  CHECK(error == std::errc::bad_file_descriptor);
  CHECK_FALSE(Mapping::try_map(file.get(), Mapping::Access::read_write, 0, 0, error));
  CHECK(error == std::errc::invalid_argument);
  CHECK_FALSE(Mapping::try_map(file.get(), Mapping::Access::read_write, 0, std::size_t{1} << 60U, error));
  CHECK(error == std::errc::not_enough_memory);
  CHECK(Mapping::try_map(file.get(), Mapping::Access::read_write, 0, kPage, error));
  CHECK_FALSE(error);
  CHECK_THROWS_AS(Mapping(-1, Mapping::Access::read_only, 0, kPage), portolan::PortError);
}

TEST_CASE("a forked child does not have the mapping") {
  const FileDescriptor file = create_segment_file(kPage);
  const Mapping mapping(file.get(), Mapping::Access::read_write, 0, kPage);
  ChildProcess child = ChildProcess::fork([&mapping] {
    std::signal(SIGSEGV, SIG_DFL);  // doctest's and a sanitizer's handlers would report it
    return std::to_integer<int>(*static_cast<volatile std::byte*>(mapping.bytes().data()));
  });
  CHECK(child.wait() == ChildExit::killed(SIGSEGV));
}

TEST_CASE("a private copy keeps addresses and bytes, and nobody else writes to it") {
  const ResourceCensus census;
  const FileDescriptor file = create_segment_file(8 * kPage);
  const Mapping peer(file.get(), Mapping::Access::read_write, 0, 8 * kPage);
  Mapping mapping(file.get(), Mapping::Access::read_write, 0, 8 * kPage);
  for (std::size_t page = 0; page < 8; ++page)
    mapping.bytes()[page * kPage] = static_cast<std::byte>(page + 1);
  const std::byte* const message = mapping.bytes().data() + 2 * kPage;

  // Begins in page 2, ends in page 4, neither at a border.
  REQUIRE_FALSE(mapping.replace_with_private_copy(2 * kPage + 100, 2 * kPage));
  for (std::size_t page = 0; page < 8; ++page) peer.bytes()[page * kPage] = std::byte{99};
  REQUIRE_FALSE(punch(file.get(), 3 * kPage, kPage));

  CHECK(mapping.bytes().data() + 2 * kPage == message);
  CHECK(mapping.bytes()[1 * kPage] == std::byte{99});
  CHECK(mapping.bytes()[2 * kPage] == std::byte{3});
  CHECK(mapping.bytes()[3 * kPage] == std::byte{4});
  CHECK(mapping.bytes()[4 * kPage] == std::byte{5});
  CHECK(mapping.bytes()[5 * kPage] == std::byte{99});
}

TEST_CASE("a private copy can be made of a read-only mapping, of its last byte, and twice") {
  const FileDescriptor file = create_segment_file(2 * kPage);
  const Mapping writer(file.get(), Mapping::Access::read_write, 0, 2 * kPage);
  Mapping mapping(file.get(), Mapping::Access::read_only, 0, 2 * kPage);
  writer.bytes()[2 * kPage - 1] = std::byte{7};
  REQUIRE_FALSE(mapping.replace_with_private_copy(2 * kPage - 1, 1));
  REQUIRE_FALSE(mapping.replace_with_private_copy(0, 2 * kPage));
  writer.bytes()[2 * kPage - 1] = std::byte{8};
  CHECK(mapping.bytes()[2 * kPage - 1] == std::byte{7});
}

TEST_CASE("a private copy of what is not mapped is refused") {
  const FileDescriptor file = create_segment_file(kPage);
  Mapping mapping(file.get(), Mapping::Access::read_write, 0, kPage);
  CHECK(mapping.replace_with_private_copy(1, kPage) == std::errc::invalid_argument);
  CHECK(mapping.replace_with_private_copy(kPage + 1, 0) == std::errc::invalid_argument);
  CHECK(mapping.replace_with_private_copy(1, SIZE_MAX) == std::errc::invalid_argument);
  CHECK_FALSE(mapping.replace_with_private_copy(kPage, 0));
}

TEST_CASE("a file sealed against writing is mapped where the kernel shares it with no writable descriptor") {
  const FileDescriptor file = create_body_file(kPage);
  REQUIRE_FALSE(write_all(file.get(), std::array{std::byte{42}}, 0));
  REQUIRE_FALSE(seal_immutable(file.get()));
  ChildProcess child = ChildProcess::fork([&] {
    // As Linux before 6.7 has it: MAP_SHARED, the fourth argument's lowest bit, is EPERM.
    PORTOLAN_CHILD_REQUIRE(portolan::testing::refuse_call(SYS_mmap, EPERM, 3, MAP_SHARED));
    const Mapping mapping(file.get(), Mapping::Access::read_only, 0, kPage);
    PORTOLAN_CHILD_REQUIRE(mapping.bytes()[0] == std::byte{42});
    std::error_code refused;
    PORTOLAN_CHILD_REQUIRE(!Mapping::try_map(file.get(), Mapping::Access::read_write, 0, kPage, refused));
    PORTOLAN_CHILD_REQUIRE(refused == std::errc::operation_not_permitted);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}
