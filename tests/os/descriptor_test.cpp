// SPDX-License-Identifier: Apache-2.0

// FileDescriptor, the errors, room for descriptors.
#include <cerrno>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/file_descriptor.hpp>

#include "os/descriptor_room.hpp"
#include "os/refusal.hpp"
#include "support/child_process.hpp"
#include "support/resource_census.hpp"

using portolan::FileDescriptor;
using portolan::PortError;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::ResourceCensus;

namespace {

bool is_open(int descriptor) {
  return ::fcntl(descriptor, F_GETFD) >= 0;
}
FileDescriptor open_null() {
  return FileDescriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

}  // namespace

TEST_CASE("a descriptor is closed once, by its last owner") {
  const ResourceCensus census;
  FileDescriptor first = open_null();
  const int number = first.get();
  REQUIRE(first);
  FileDescriptor second(std::move(first));
  CHECK(first.get() == -1);
  CHECK(second.get() == number);
  FileDescriptor& alias = second;
  second = std::move(alias);
  CHECK(second.get() == number);
  second = open_null();
  CHECK_FALSE(is_open(number));
  const int released = second.release();
  CHECK_FALSE(second);
  CHECK(is_open(released));
  second.reset(released);
  second.reset();
  CHECK_FALSE(is_open(released));
}

TEST_CASE("closing preserves errno") {
  FileDescriptor nonsense(1'000'000);
  errno = EDOM;
  nonsense.reset();
  CHECK(errno == EDOM);
}

TEST_CASE("a duplicate is closed on exec, and none can be made of nothing") {
  const FileDescriptor original = open_null();
  const FileDescriptor copy = original.duplicate();
  CHECK(copy.get() != original.get());
  CHECK((::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC) != 0);
  try {
    static_cast<void>(FileDescriptor().duplicate());
    FAIL("no exception");
  } catch (const PortError& error) {
    CHECK(error.code() == std::errc::bad_file_descriptor);
    CHECK(std::string(error.what()).starts_with("FileDescriptor::duplicate: Bad file descriptor; "));
  }
}

TEST_CASE("a refusal names call, object, reason and cure") {
  const auto code = std::make_error_code(std::errc::permission_denied);
  CHECK_THROWS_WITH_AS(portolan::os::throw_refusal(code, "open", "/x", "ask"),
                       R"(open("/x"): Permission denied; ask)", PortError);
  CHECK_THROWS_WITH_AS(portolan::os::throw_refusal(code, "open", "", ""), "open: Permission denied",
                       PortError);
  CHECK(portolan::DataCloneError::code() == 25);
}

TEST_CASE("there is room for as many descriptors as the table has places left, wherever they are") {
  ChildProcess child = ChildProcess::fork([] {
    constexpr unsigned kLimit = 32;
    const rlimit limit{kLimit, kLimit};
    PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    unsigned open_count = 0;
    for (int i = 0; i < static_cast<int>(kLimit); ++i) open_count += is_open(i) ? 1U : 0U;
    const auto room = [](unsigned count) { return portolan::os::require_descriptor_room(count); };
    const unsigned left = kLimit - open_count;
    PORTOLAN_CHILD_REQUIRE(!room(left));
    PORTOLAN_CHILD_REQUIRE(room(left + 1) == std::errc::too_many_files_open);
    PORTOLAN_CHILD_REQUIRE(room(kLimit + 1) == std::errc::too_many_files_open);
    // The last place is taken, the others are not.
    PORTOLAN_CHILD_REQUIRE(::dup2(2, kLimit - 1) == kLimit - 1);
    PORTOLAN_CHILD_REQUIRE(!room(left - 1));
    PORTOLAN_CHILD_REQUIRE(room(left) == std::errc::too_many_files_open);
    // Asking takes nothing.
    unsigned open_afterwards = 0;
    for (int i = 0; i < static_cast<int>(kLimit); ++i) open_afterwards += is_open(i) ? 1U : 0U;
    PORTOLAN_CHILD_REQUIRE(open_afterwards == open_count + 1);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}
