// SPDX-License-Identifier: Apache-2.0

// What a hostile peer may send in place of a buffer's memory: each ends the channel that brings it, before
// anything is mapped; and entries that promise what the memory does not hold.
#include <array>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "bad_input/hostile_peer.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kBytes = 10'000;
constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int kAllSeals = kSizeSeals | F_SEAL_SEAL | F_SEAL_WRITE;

enum class Offered { writable, shared, read_only, view };

struct Wrong {
  std::string name;
  std::function<int(Offered)> make;
};

bool never_changes(Offered offered) {
  return offered == Offered::read_only || offered == Offered::view;
}

int memory(std::size_t bytes, int seals, unsigned flags = MFD_ALLOW_SEALING) {
  const int file = ::memfd_create("wrong", MFD_CLOEXEC | flags);
  if (file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) == 0 && seals != 0)
    ::fcntl(file, F_ADD_SEALS, seals);
  return file;
}

int seals_of(Offered offered) {
  return never_changes(offered) ? kAllSeals : kSizeSeals;
}

int opened_for(int file, int access) {
  const FileDescriptor owned(file);
  return ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), access | O_CLOEXEC);
}

int end_of(const std::function<int(int*)>& make) {
  int ends[2] = {-1, -1};
  make(ends);
  const FileDescriptor other(ends[1]);
  return ends[0];
}

std::vector<Wrong> wrong_buffers() {
  return {
      {"a pipe", [](Offered) { return end_of([](int* ends) { return ::pipe2(ends, O_CLOEXEC); }); }},
      {"a socket",
       [](Offered) {
         return end_of(
             [](int* ends) { return ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); });
       }},
      {"a device", [](Offered) { return ::open("/dev/null", O_RDWR | O_CLOEXEC); }},
      {"a file on disk", [](Offered) { return ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC); }},
      {"a directory", [](Offered) { return ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }},
      {"a path alone", [](Offered) { return ::open("/dev/null", O_PATH | O_CLOEXEC); }},
      {"an eventfd", [](Offered) { return ::eventfd(0, EFD_CLOEXEC); }},
      {"an epoll", [](Offered) { return ::epoll_create1(EPOLL_CLOEXEC); }},
      {"memory that cannot be sealed", [](Offered) { return memory(kBytes, 0, 0); }},
      {"memory whose size is not sealed", [](Offered) { return memory(kBytes, 0); }},
      {"memory that may still shrink", [](Offered) { return memory(kBytes, F_SEAL_GROW); }},
      {"memory cut short", [](Offered offered) { return memory(kBytes - 1, seals_of(offered)); }},
      {"no memory at all", [](Offered offered) { return memory(0, seals_of(offered)); }},
      {"memory with the other kind's seals",
       [](Offered offered) { return memory(kBytes, never_changes(offered) ? kSizeSeals : kAllSeals); }},
      {"memory whose present writers may go on",
       [](Offered) { return memory(kBytes, kSizeSeals | F_SEAL_FUTURE_WRITE); }},
      {"memory opened for the wrong thing",
       [](Offered offered) {
         return opened_for(memory(kBytes, seals_of(offered)), never_changes(offered) ? O_WRONLY : O_RDONLY);
       }},
  };
}

wire::Attachment entry_of(Offered offered) {
  wire::Attachment entry;
  entry.kind = wire::AttachmentKind::buffer;
  entry.access = offered == Offered::writable ? wire::BufferAccess::read_write
                 : offered == Offered::shared ? wire::BufferAccess::shared
                 : offered == Offered::view   ? wire::BufferAccess::view
                                              : wire::BufferAccess::read_only;
  entry.offset_bytes = offered == Offered::view ? 5000 : 0;
  entry.size_bytes = kBytes - entry.offset_bytes;
  return entry;
}

// How the channel ends that brings this; "message" if it is believed.
std::string outcome(const wire::Attachment& entry, int file, Trust trust) {
  MessageChannel carrier({.trust = trust});
  HostilePeer peer(std::move(carrier.port2));
  std::string seen;
  carrier.port1.on_message([&](MessageEvent&) {
    seen += "message";
    carrier.port1.close();
  });
  carrier.port1.on_close([&](CloseEvent& event) {
    seen += event.reason() == CloseReason::protocol_error ? "protocol error" : "another end";
  });
  peer.announce(1);
  REQUIRE(peer.send_transfer(1, std::array{file}));
  peer.publish_table({{entry}}, 1);
  EventLoop::current().run();
  return seen;
}

constexpr Offered kAll[] = {Offered::writable, Offered::shared, Offered::read_only, Offered::view};

}  // namespace

TEST_CASE("whatever is no buffer ends the channel that brings it as one, and stays open nowhere") {
  CHECK(wrong_buffers().size() >= 12);
  for (const Trust trust : {Trust::same_user, Trust::foreign}) {
    for (const Offered offered : kAll) {
      const PortCensus census;
      const FileDescriptor right(memory(kBytes, seals_of(offered)));
      CHECK(outcome(entry_of(offered), right.get(), trust) == "message");  // else the others prove nothing
      for (const Wrong& wrong : wrong_buffers()) {
        INFO(wrong.name << ", offered as " << static_cast<int>(offered));
        const FileDescriptor descriptor(wrong.make(offered));
        REQUIRE(descriptor);
        CHECK(outcome(entry_of(offered), descriptor.get(), trust) == "protocol error");
      }
    }
  }
}

TEST_CASE("memory of huge pages is no buffer, sealed or not") {
  const PortCensus census;
  const int file = memory(2 << 20, 0, MFD_ALLOW_SEALING | MFD_HUGETLB);
  if (file < 0) return;  // a kernel without them
  const FileDescriptor owned(file);
  REQUIRE(::fcntl(file, F_ADD_SEALS, kSizeSeals) == 0);
  wire::Attachment entry = entry_of(Offered::writable);
  entry.size_bytes = 2 << 20;
  CHECK(outcome(entry, file, Trust::foreign) == "protocol error");
}

TEST_CASE("an entry that promises more, less or another place than the memory has ends the channel") {
  const PortCensus census;
  for (const Offered offered : kAll) {
    INFO("offered as " << static_cast<int>(offered));
    const FileDescriptor file(memory(kBytes, seals_of(offered)));
    const auto ends = [&](auto change) {
      wire::Attachment entry = entry_of(offered);
      change(entry);
      CHECK(outcome(entry, file.get(), Trust::same_user) == "protocol error");
    };
    ends([](wire::Attachment& entry) { ++entry.size_bytes; });
    ends([](wire::Attachment& entry) { entry.size_bytes = ~std::uint64_t{0}; });
    ends([](wire::Attachment& entry) { entry.offset_bytes = ~std::uint64_t{0}; });
    if (offered == Offered::view) {
      ends([](wire::Attachment& entry) { entry.offset_bytes = kBytes; });
      continue;
    }
    ends([](wire::Attachment& entry) { --entry.size_bytes; });
    ends([](wire::Attachment& entry) {
      ++entry.offset_bytes;
      --entry.size_bytes;
    });
  }
}

TEST_CASE("a message whose descriptors are lost has detached buffers in its place") {
  const PortCensus census;
  MessageChannel carrier;
  HostilePeer peer(std::move(carrier.port2));
  peer.publish_table({{entry_of(Offered::writable), entry_of(Offered::view)}}, 1);
  Received received = carrier.port1.receive();
  REQUIRE(received);
  CHECK(received->redelivered());
  REQUIRE(received->buffers().size() == 1);
  CHECK_FALSE(received->buffers()[0]);
  CHECK(received->buffers()[0].size() == 0);
}
