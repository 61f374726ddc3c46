// SPDX-License-Identifier: Apache-2.0

// What a buffer is in the process that has it: its bytes, its kinds, its views, and what is refused of it.
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "bad_input/said.hpp"
#include "buffer/labelled_file.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

SharedBuffer filled(std::size_t size_bytes, std::size_t seed) {
  SharedBuffer buffer(size_bytes);
  std::memcpy(buffer.bytes().data(), pattern(size_bytes, seed).data(), size_bytes);
  return buffer;
}

bool same(std::span<const std::byte> left, std::span<const std::byte> right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin());
}

}  // namespace

TEST_CASE("a new buffer is full of zeros, takes no memory and is mapped by the first look") {
  const ResourceCensus census;
  SharedBuffer buffer(1 << 20, {.label = "fresh"});
  CHECK(buffer.size() == 1 << 20);
  CHECK(mappings_of("fresh") == 0);
  CHECK(memory_of("fresh") == 0);
  const std::byte* const first = buffer.bytes().data();
  CHECK(mappings_of("fresh") == 1);
  CHECK(buffer.bytes().data() == first);
  CHECK(std::as_const(buffer).bytes().data() == first);
  CHECK(same(buffer.bytes(), std::vector<std::byte>(1 << 20)));
}

TEST_CASE("a prefaulted buffer has all its memory before it is touched, with huge pages asked for or not") {
  const ResourceCensus census;
  for (const bool huge_pages : {false, true}) {
    SharedBuffer buffer(5 << 20, {.huge_pages = huge_pages, .prefault = true, .label = "ready"});
    CHECK(memory_of("ready") >= 5 << 20);
    buffer.bytes()[(5 << 20) - 1] = std::byte{1};
    CHECK(std::as_const(buffer).bytes()[(5 << 20) - 1] == std::byte{1});
  }
}

TEST_CASE("buffers of no bytes and of a part of a page are buffers") {
  const ResourceCensus census;
  SharedBuffer none(0);
  CHECK(none);
  CHECK(none.bytes().empty());
  SharedBuffer odd(100);
  CHECK(odd.bytes().size() == 100);
  none = std::move(none).read_only();
  const BufferView view = none.view();
  CHECK(view);
  CHECK(view.bytes().empty());
}

TEST_CASE("a moved-from buffer is detached, and the other one has its bytes where they were") {
  const ResourceCensus census;
  SharedBuffer buffer = filled(10'000, 1);
  const std::byte* const where = buffer.bytes().data();
  SharedBuffer moved = std::move(buffer);
  CHECK(moved.bytes().data() == where);
  CHECK_FALSE(buffer);  // NOLINT(bugprone-use-after-move): that is what is asked
  CHECK(buffer.size() == 0);
  CHECK(buffer.bytes().empty());
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(std::move(buffer).read_only()); }),
              {"SharedBuffer::read_only", "detached", "received"});
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(buffer.shared()); }),
              {"SharedBuffer::shared", "detached"});
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(buffer.view(0, 0)); }),
              {"SharedBuffer::view", "detached"});
}

TEST_CASE("a read-only buffer has its bytes as a constant, and for writing it says how to read it") {
  const ResourceCensus census;
  SharedBuffer buffer = filled(10'000, 2);
  buffer = std::move(buffer).read_only();
  CHECK(buffer.is_read_only());
  CHECK(same(std::as_const(buffer).bytes(), pattern(10'000, 2)));
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(buffer.bytes()); }),
              {"SharedBuffer::bytes", "read-only", "std::as_const"});
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(buffer.shared()); }),
              {"read-only", "view() shares it"});
  buffer = std::move(buffer).read_only();  // it is
  CHECK(same(std::as_const(buffer).bytes(), pattern(10'000, 2)));
}

TEST_CASE("views outlive their buffer and each other, at any offset") {
  const ResourceCensus census;
  BufferView whole, part, inner;
  CHECK_FALSE(whole);
  CHECK(whole.bytes().empty());
  {
    SharedBuffer buffer = filled(100'000, 3);
    check_names(said_by<InvalidStateError>([&] { static_cast<void>(buffer.view()); }),
                {"SharedBuffer::view", "read-only first", "std::move(buffer).read_only()"});
    buffer = std::move(buffer).read_only();
    whole = buffer.view();
    part = buffer.view(4097, 50'000);
    inner = part.view(3, 40'000);
    check_names(said_by<std::out_of_range>([&] { static_cast<void>(buffer.view(100'000, 1)); }),
                {"SharedBuffer::view(100000, 1)", "100000 bytes"});
    check_names(said_by<std::out_of_range>([&] { static_cast<void>(buffer.view(1, ~std::size_t{0})); }),
                {"SharedBuffer::view"});
  }
  check_names(said_by<std::out_of_range>([&] { static_cast<void>(part.view(50'001, 0)); }),
              {"BufferView::view(50001, 0)", "50000 bytes"});
  const BufferView end = part.view(50'000, 0);
  CHECK(end.bytes().empty());
  whole = BufferView();
  part = inner;
  inner = inner.view(0, 10);
  CHECK(same(part.bytes(), pattern(100'000, 3).subspan(4100, 40'000)));
  CHECK(same(inner.bytes(), pattern(100'000, 3).subspan(4100, 10)));
}

TEST_CASE("two objects of shared memory see each other's writes, and neither can be made read-only") {
  const ResourceCensus census;
  SharedBuffer one(4096);
  one.bytes()[7] = std::byte{1};
  SharedBuffer other = one.shared();
  CHECK(one.is_shared());
  CHECK(other.is_shared());
  CHECK(other.bytes()[7] == std::byte{1});
  other.bytes()[7] = std::byte{2};
  CHECK(one.bytes()[7] == std::byte{2});
  check_names(said_by<InvalidStateError>([&] { static_cast<void>(std::move(one).read_only()); }),
              {"SharedBuffer::read_only", "shared", "copy it"});
  one = SharedBuffer();
  CHECK(other.bytes()[7] == std::byte{2});
}

TEST_CASE("views of one memory are mapped once and read by several threads at a time") {
  const ResourceCensus census;
  SharedBuffer buffer(1 << 20, {.label = "crowd"});
  std::memcpy(buffer.bytes().data(), pattern(1 << 20, 4).data(), 1 << 20);
  buffer = std::move(buffer).read_only();
  CHECK(mappings_of("crowd") == 0);
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> readers;
    for (std::size_t i = 0; i < 4; ++i)
      readers.emplace_back([&right, i, view = buffer.view(i * 1000, 5000)] {
        right += same(view.bytes(), pattern(1 << 20, 4).subspan(i * 1000, 5000)) ? 1 : 0;
      });
  }
  CHECK(right == 4);
  CHECK(mappings_of("crowd") == 1);
}

TEST_CASE("more than can be had is refused, and a full descriptor table is") {
  const ResourceCensus census;
  check_names(said_by<PortError>([&] { SharedBuffer(std::size_t{1} << 42); }),
              {"SharedBuffer(4398046511104 bytes)", "at most 2199023255552"});
  {
    const FewDescriptors one(1);
    const FileDescriptor last(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(last);
    check_names(said_by<PortError>([&] { SharedBuffer(1); }), {"memfd_create", "RLIMIT_NOFILE"});
  }
  SharedBuffer buffer(1);
  CHECK(buffer);
}

TEST_CASE("a forked child has no use of its parent's buffers, and does them no harm") {
  const ResourceCensus census;
  SharedBuffer buffer = filled(8192, 5);
  SharedBuffer sealed = filled(8192, 6);
  sealed = std::move(sealed).read_only();
  const BufferView view = sealed.view();
  CHECK(view.bytes().size() == 8192);
  ChildProcess child = ChildProcess::fork([&] {
    const auto refused = [](auto&& call) {
      try {
        call();
        return false;
      } catch (const InvalidStateError& error) {
        return std::string_view(error.what()).find("forked from") != std::string_view::npos;
      }
    };
    PORTOLAN_CHILD_REQUIRE(buffer.size() == 8192);
    PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(buffer.bytes()); }));
    PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(view.bytes()); }));
    PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(buffer.shared()); }));
    PORTOLAN_CHILD_REQUIRE(refused([&] { static_cast<void>(std::move(buffer).read_only()); }));
    MessageChannel channel;
    PORTOLAN_CHILD_REQUIRE(refused([&] { channel.port1.post_message("no", {.transfer = {buffer}}); }));
    PORTOLAN_CHILD_REQUIRE(refused([&] { channel.port1.post_message(view); }));
    // Something of the child's own may be where the parent's memory is mapped.
    SharedBuffer own(8192);
    own.bytes()[0] = std::byte{1};
    buffer = SharedBuffer();
    sealed = SharedBuffer();
    own.bytes()[0] = std::byte{2};
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(same(buffer.bytes(), pattern(8192, 5)));
  CHECK(same(view.bytes(), pattern(8192, 6)));
}
