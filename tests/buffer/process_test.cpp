// SPDX-License-Identifier: Apache-2.0

// Buffers between processes: what costs nothing, what nobody can change, who is left when somebody dies, and
// what a peer that does not keep to the rules can do.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "bad_input/said.hpp"
#include "buffer/labelled_file.hpp"
#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kGiant = std::size_t{1} << 30;

SharedBuffer filled(std::size_t size_bytes, std::size_t seed, std::string label) {
  SharedBuffer buffer(size_bytes, {.label = std::move(label)});
  std::memcpy(buffer.bytes().data(), pattern(size_bytes, seed).data(), size_bytes);
  return buffer;
}

// A second descriptor of the same memory, opened for writing.
FileDescriptor opened_again(const std::string& label) {
  const std::vector<int> numbers = descriptors_of(label);
  if (numbers.empty()) return {};
  return FileDescriptor(
      ::open(("/proc/self/fd/" + std::to_string(numbers.front())).c_str(), O_RDWR | O_CLOEXEC));
}

// Every way of changing a file that the kernel has.
std::vector<std::string> changes_that_succeed(const FileDescriptor& file, std::span<const std::byte> mapped) {
  std::vector<std::string> succeeded;
  const auto attempt = [&](const char* name, bool success) {
    if (success) succeeded.emplace_back(name);
  };
  attempt("open for writing", !file || ::fcntl(file.get(), F_GET_SEALS) < 0);  // it has to try the others
  attempt("pwrite", ::pwrite(file.get(), "x", 1, 0) == 1);
  attempt("ftruncate", ::ftruncate(file.get(), 1) == 0);
  attempt("grow", ::ftruncate(file.get(), 1 << 30) == 0);
  attempt("punch", ::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
  attempt("seal", ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
  attempt("mmap", ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0) != MAP_FAILED);
  void* const page = const_cast<std::byte*>(mapped.data());
  attempt("remove", ::madvise(page, 4096, MADV_REMOVE) == 0);
  attempt("mprotect", ::mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
  return succeeded;
}

}  // namespace

TEST_CASE("1 GiB moves to another process and on to a third without being mapped or given a page") {
  const PortCensus census;
  MessageChannel first, second;
  SharedBuffer giant(kGiant, {.label = "giant"});
  ChildProcess middle =
      fork_with(ports_of(std::move(first.port2), std::move(second.port1)), [](Ports& ports) {
        Received received = ports[0].receive();
        auto passing = received->data<SharedBuffer>();
        PORTOLAN_CHILD_REQUIRE(passing.size() == kGiant);
        PORTOLAN_CHILD_REQUIRE(memory_of("giant") == 0);
        ports[1].post_message(std::move(passing));
        PORTOLAN_CHILD_REQUIRE(mappings_of("giant") == 0);
        return 0;
      });
  ChildProcess end = fork_with(ports_of(std::move(second.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    auto last = received->data<SharedBuffer>();
    PORTOLAN_CHILD_REQUIRE(mappings_of("giant") == 0);
    PORTOLAN_CHILD_REQUIRE(memory_of("giant") == 0);
    last.bytes()[kGiant - 1] = std::byte{1};
    PORTOLAN_CHILD_REQUIRE(memory_of("giant") <= 2 << 20);
    return 0;
  });
  first.port1.post_message(std::move(giant));
  CHECK(mappings_of("giant") == 0);
  CHECK(descriptors_of("giant").empty());
  CHECK(middle.wait() == ChildExit::exited(0));
  CHECK(end.wait() == ChildExit::exited(0));
}

TEST_CASE("a transferred buffer is unmapped and closed before its receiver can see it") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer buffer = filled(1 << 20, 1, "handed");
  CHECK(mappings_of("handed") == 1);
  carrier.port1.post_message("yours", {.transfer = {buffer}});
  CHECK(mappings_of("handed") == 0);
  CHECK(descriptors_of("handed").empty());
  CHECK(std::ranges::equal(carrier.port2.receive()->buffers()[0].bytes(), pattern(1 << 20, 1)));
}

TEST_CASE("eight readers in processes of their own read views of one memory, and no page is copied") {
  constexpr std::size_t kReaders = 8, kBytes = 1 << 20, kPart = kBytes / kReaders - 1000;
  const PortCensus census;
  SharedBuffer table = filled(kBytes, 3, "table");
  table = std::move(table).read_only();
  std::vector<MessageChannel> channels(kReaders);
  std::vector<ChildProcess> readers;
  for (std::size_t i = 0; i < kReaders; ++i)
    readers.push_back(fork_with(ports_of(std::move(channels[i].port2)), [i](Ports& ports) {
      Received received = ports[0].receive();
      const auto views = received->data<std::vector<BufferView>>();
      PORTOLAN_CHILD_REQUIRE(views.size() == 2);
      PORTOLAN_CHILD_REQUIRE(views[0].size() == kPart);
      PORTOLAN_CHILD_REQUIRE(
          std::ranges::equal(views[0].bytes(), pattern(kBytes, 3).subspan(i * 131'000, kPart)));
      // A view of a view goes on to the others without the table's maker.
      ports[0].post_message(views[1].view(5, 10));
      return 0;
    }));
  for (std::size_t i = 0; i < kReaders; ++i)
    channels[i].port1.post_message(std::vector{table.view(i * 131'000, kPart), table.view(4090, 100)});
  const std::uint64_t memory = memory_of("table");
  table = SharedBuffer();
  for (std::size_t i = 0; i < kReaders; ++i) {
    Received received = channels[i].port1.receive();
    const auto part = received->data<BufferView>();
    CHECK(std::ranges::equal(part.bytes(), pattern(kBytes, 3).subspan(4095, 10)));
    CHECK(memory_of("table") == memory);
    CHECK(readers[i].wait() == ChildExit::exited(0));
  }
}

TEST_CASE("nobody can change what was made read-only: not its receiver, and not its maker") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer buffer = filled(1 << 16, 4, "stone");
  const FileDescriptor kept = opened_again("stone");
  REQUIRE(kept);
  buffer = std::move(buffer).read_only();
  CHECK(changes_that_succeed(kept, std::as_const(buffer).bytes()) == std::vector<std::string>());
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    SharedBuffer stone = std::move(received->buffers()[0]);
    const auto view = received->data<BufferView>();
    PORTOLAN_CHILD_REQUIRE(stone.is_read_only());
    const FileDescriptor writable = opened_again("stone");
    PORTOLAN_CHILD_REQUIRE(changes_that_succeed(writable, std::as_const(stone).bytes()).empty());
    PORTOLAN_CHILD_REQUIRE(changes_that_succeed(writable, view.bytes()).empty());
    PORTOLAN_CHILD_REQUIRE(std::ranges::equal(std::as_const(stone).bytes(), pattern(1 << 16, 4)));
    return 0;
  });
  const BufferView view = buffer.view();
  carrier.port1.post_message(view, {.transfer = {buffer}});
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(std::ranges::equal(view.bytes(), pattern(1 << 16, 4)));
}

TEST_CASE("a sender that goes on writing keeps its receiver from saying that nobody can") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer buffer = filled(1 << 16, 5, "two hands");
  const FileDescriptor kept = opened_again("two hands");
  REQUIRE(kept);
  void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept.get(), 0);
  REQUIRE(page != MAP_FAILED);
  carrier.port1.post_message(std::move(buffer));
  Received received = carrier.port2.receive();
  auto mine = received->data<SharedBuffer>();
  check_names(said_by<PortError>([&] { static_cast<void>(std::move(mine).read_only()); }),
              {"SharedBuffer::read_only(65536 bytes)", "can still write it", "copy it"});
  CHECK_FALSE(mine.is_read_only());
  CHECK(std::ranges::equal(mine.bytes(), pattern(1 << 16, 5)));
  mine.bytes()[1] = std::byte{7};
  CHECK(static_cast<const std::byte*>(page)[1] == std::byte{7});
  ::munmap(page, 4096);
  mine = std::move(mine).read_only();
  CHECK(mine.is_read_only());
}

TEST_CASE("a buffer whose sender was killed is the receiver's, read or not, mapped or not") {
  const PortCensus census;
  MessageChannel carrier, ready;
  ChildProcess child =
      fork_with(ports_of(std::move(carrier.port2), std::move(ready.port2)), [](Ports& ports) {
        ports[0].post_message(filled(1 << 20, 6, "left"));
        SharedBuffer listed = filled(1 << 16, 7, "left");
        ports[0].post_message("both", {.transfer = {listed}});
        ports[1].post_message("killed from here on");
        for (;;) ::pause();
        return 0;
      });
  Received first = carrier.port1.receive();
  auto mine = first->data<SharedBuffer>();
  CHECK(mine.bytes()[0] == pattern(1, 6)[0]);
  CHECK(ready.port1.receive()->text() == "killed from here on");
  CHECK(child.kill_and_reap() == ChildExit::killed(SIGKILL));
  CHECK(std::ranges::equal(mine.bytes(), pattern(1 << 20, 6)));
  mine.bytes()[0] = std::byte{1};
  first = Received();
  Received second = carrier.port1.receive();
  CHECK(std::ranges::equal(second->buffers()[0].bytes(), pattern(1 << 16, 7)));
  CHECK(carrier.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a buffer in a message that nobody reads goes with the channel, whoever is killed") {
  const PortCensus census;
  MessageChannel carrier;
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    static_cast<void>(ports[0].receive());
    for (;;) ::pause();
    return 0;
  });
  for (int i = 0; i < 3; ++i) carrier.port1.post_message(filled(1 << 20, 1, "unread"));
  CHECK(child.kill_and_reap() == ChildExit::killed(SIGKILL));
  CHECK(carrier.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a peer that punches holes while a buffer is read gives zeros and does no other harm") {
  const PortCensus census;
  for (const Trust trust : {Trust::same_user, Trust::foreign}) {
    MessageChannel carrier({.trust = trust});
    ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
      SharedBuffer buffer = filled(1 << 20, 8, "sieve");
      const FileDescriptor kept = opened_again("sieve");
      ports[0].post_message(std::move(buffer));
      for (std::size_t at = 0;; at = (at + 4096) % (1 << 20)) {
        static_cast<void>(::fallocate(kept.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      static_cast<off_t>(at), 4096));
        PORTOLAN_CHILD_REQUIRE(::ftruncate(kept.get(), 1) < 0);
      }
      return 0;
    });
    Received received = carrier.port1.receive();
    auto mine = received->data<SharedBuffer>();
    const auto written = pattern(1 << 20, 8);
    std::size_t zeros = 0, others = 0;
    CHECK(wait_until([&] {
      const std::span<const std::byte> bytes = mine.bytes();
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const std::byte byte = bytes[i];
        if (byte == written[i]) continue;
        ++(byte == std::byte{0} ? zeros : others);
      }
      return zeros > 0;
    }));
    CHECK(others == 0);
    mine.bytes()[0] = std::byte{1};
    CHECK(child.kill_and_reap() == ChildExit::killed(SIGKILL));
  }
}

TEST_CASE("a peer that seals what it has given away makes an error, and the buffer can still be read") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer buffer = filled(1 << 16, 9, "sealed behind");
  const FileDescriptor kept = opened_again("sealed behind");
  carrier.port1.post_message(std::move(buffer));
  Received received = carrier.port2.receive();
  auto mine = received->data<SharedBuffer>();
  REQUIRE(::fcntl(kept.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
  check_names(said_by<PortError>([&] { static_cast<void>(mine.bytes()); }),
              {"SharedBuffer::bytes", "65536 bytes", "has sealed it", "read_only()"});
  mine = std::move(mine).read_only();
  CHECK(std::ranges::equal(std::as_const(mine).bytes(), pattern(1 << 16, 9)));
}

TEST_CASE("a buffer that comes back has the bytes that the receiver wrote, in the memory that was sent") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer buffer(100'000, {.label = "boomerang"});
  struct stat before {};
  REQUIRE(::fstat(descriptors_of("boomerang").at(0), &before) == 0);
  ChildProcess child = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    auto mine = received->data<SharedBuffer>();
    std::memcpy(mine.bytes().data(), pattern(100'000, 1).data(), 100'000);
    ports[0].post_message(std::move(mine));
    PORTOLAN_CHILD_REQUIRE(!mine);
    PORTOLAN_CHILD_REQUIRE(mappings_of("boomerang") == 0);
    return 0;
  });
  carrier.port1.post_message(std::move(buffer));
  CHECK(descriptors_of("boomerang").empty());
  Received received = carrier.port1.receive();
  buffer = received->data<SharedBuffer>();
  CHECK(std::ranges::equal(buffer.bytes(), pattern(100'000, 1)));
  struct stat after {};
  REQUIRE(::fstat(descriptors_of("boomerang").at(0), &after) == 0);
  CHECK(after.st_ino == before.st_ino);
  CHECK(child.wait() == ChildExit::exited(0));
}
