// SPDX-License-Identifier: Apache-2.0

// The memory of a burst is given back once it has been read and the channel is quiet.
#include <cstdint>
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kBurstBytes = 50 << 20;
constexpr std::size_t kPartBytes = 60'000;
constexpr std::size_t kParts = kBurstBytes / kPartBytes + 1;
constexpr std::size_t kQuietBytes = 1 << 20;

std::size_t bytes_of_segment(const FileDescriptor& segment) {
  struct stat status {};
  REQUIRE(::fstat(segment.get(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

FileDescriptor segment_of(const MessagePort& port) {
  PortHandle handle = port.custody_handle();
  return std::move(handle.segment());
}

// The reader is another process, which reads nothing before it is told.
ChildProcess reader_of(MessagePort port, MessagePort told) {
  return fork_with(ports_of(std::move(port), std::move(told)), [](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(ports[1].receive()->text() == "read");
    for (std::size_t i = 0; i < kParts; ++i)
      PORTOLAN_CHILD_REQUIRE(ports[0].receive()->bytes().size() == kPartBytes);
    ports[1].post_message("all read");
    PORTOLAN_CHILD_REQUIRE(ports[0].receive().status() == ReceiveStatus::closed);
    return 0;
  });
}

void post_burst(MessagePort& port) {
  const std::vector<std::byte> part(kPartBytes, std::byte{0x5a});
  for (std::size_t i = 0; i < kParts; ++i) port.post_message(part);
}

}  // namespace

TEST_CASE("after a burst of 50 MiB the memory falls back while the writer's loop is idle") {
  const PortCensus census;
  MessageChannel data, tell;
  const FileDescriptor segment = segment_of(data.port1);
  ChildProcess child = reader_of(std::move(data.port2), std::move(tell.port2));
  post_burst(data.port1);
  CHECK(bytes_of_segment(segment) >= kBurstBytes);
  tell.port1.post_message("read");
  CHECK(tell.port1.receive()->text() == "all read");
  data.port1.on_close([](CloseEvent&) { FAIL("its peer lives"); });
  CHECK(wait_until([&] {
    EventLoop::current().run_for(50ms);
    return bytes_of_segment(segment) < kQuietBytes;
  }));
  data.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("after a burst of 50 MiB the memory falls back while the writer waits for a message") {
  const PortCensus census;
  MessageChannel data, tell;
  const FileDescriptor segment = segment_of(data.port1);
  ChildProcess child = reader_of(std::move(data.port2), std::move(tell.port2));
  post_burst(data.port1);
  tell.port1.post_message("read");
  CHECK(tell.port1.receive()->text() == "all read");
  const auto quiet = [&] { return bytes_of_segment(segment) < kQuietBytes; };
  CHECK(wait_until(
      [&] { return data.port1.receive_for(50ms).status() != ReceiveStatus::timed_out || quiet(); }));
  CHECK(quiet());
  data.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}
