// SPDX-License-Identifier: Apache-2.0

// Looking at the channels of another process: what is seen is what that process knows, and it does not
// notice.
#include <algorithm>
#include <array>
#include <cstring>
#include <doctest/doctest.h>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "inspect/channel.hpp"
#include "inspect/recorder.hpp"
#include "inspect/shown_text.hpp"
#include "os/memory_file.hpp"
#include "port/hand_over.hpp"
#include "ring/random_seed.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using inspect::Channel;
using inspect::EndPlace;
using ring::Side;

namespace {

// Tests of several builds may run at once: the labels of this one.
std::string own_label(const std::string& name) {
  return name + "-of-" + std::to_string(::getpid());
}

std::optional<Channel> channel_called(const std::string& label) {
  inspect::Channels found = inspect::find_channels();
  for (Channel& channel : found.channels)
    if (channel.control.label == label) return std::move(channel);
  return std::nullopt;
}

EndPlace place(const Channel& channel, Side side) {
  return channel.end[static_cast<std::size_t>(side)].place;
}

int owner(const Channel& channel, Side side) {
  const inspect::Holder* const holder = channel.holder(side);
  return holder == nullptr ? 0 : holder->pid;
}

// A child that has called `make` with the label, and then lives until it is killed.
template <class Make>
ChildProcess living_with(const std::string& label, Make make) {
  ChildProcess child = ChildProcess::fork([=] {
    const auto kept = make(label);
    for (;;) ::pause();
    return 0;
  });
  REQUIRE(wait_until([&] { return channel_called(label).has_value(); }));
  return child;
}

bool maps_a_segment() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("memfd:portolan") != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("a channel is seen with its counters, and with the process at each end") {
  const std::string label = own_label("counted");
  const PortCensus census;
  ChildProcess child = living_with(label, [](const std::string& name) {
    MessageChannel channel({.limit_bytes = 1 << 20, .label = name});
    for (const char* const text : {"one", "three", "seven"}) channel.port1.post_message(text);
    PORTOLAN_CHILD_REQUIRE(channel.port2.try_receive()->text() == "one");
    PORTOLAN_CHILD_REQUIRE(channel.port2.try_receive()->text() == "three");
    return channel;
  });
  std::optional<Channel> seen;
  REQUIRE(wait_until([&] {
    seen = channel_called(label);
    return seen->control.direction[0].handed_messages == 2;
  }));
  const auto& there = seen->control.direction[0];
  CHECK(there.posted_messages == 3);
  CHECK(there.posted_bytes == 13);
  REQUIRE(wait_until([&] { return inspect::look_again(*seen) && there.read_messages == 2; }));
  CHECK(there.unread_messages() == 1);
  CHECK(there.unread_bytes() == 5);
  CHECK(seen->control.direction[1].posted_messages == 0);
  CHECK(seen->control.limit_bytes == 1 << 20);
  CHECK(seen->control.creator_pid == static_cast<std::uint32_t>(child.pid()));
  for (const Side side : {Side::a, Side::b}) {
    CHECK(place(*seen, side) == EndPlace::owned);
    CHECK(owner(*seen, side) == child.pid());
  }
  child.kill_and_reap();
}

TEST_CASE("an end that is on its way, unused, closed or left by a dead owner is said to be that") {
  const std::string label = own_label("moved");
  const PortCensus census;
  ChildProcess child = living_with(label, [](const std::string& name) {
    struct Kept {
      MessageChannel moved;
      int sockets[2];
    };
    auto kept = std::make_unique<Kept>();
    kept->moved = MessageChannel({.label = name});
    PORTOLAN_CHILD_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, kept->sockets) == 0);
    send_port(kept->sockets[0], std::move(kept->moved.port2));
    kept->moved.port1.post_message("waits for whoever takes it");
    return kept;
  });
  REQUIRE(wait_until([&] { return place(*channel_called(label), Side::b) == EndPlace::in_transit; }));
  REQUIRE(wait_until([&] { return place(*channel_called(label), Side::a) == EndPlace::owned; }));
  child.kill_and_reap();

  const std::string unused = own_label("unused");
  ChildProcess second =
      living_with(unused, [](const std::string& name) { return MessageChannel({.label = name}); });
  CHECK(place(*channel_called(unused), Side::a) == EndPlace::held);
  CHECK(owner(*channel_called(unused), Side::b) == second.pid());
  second.kill_and_reap();

  const std::string closed = own_label("closed");
  ChildProcess third = living_with(closed, [](const std::string& name) {
    MessageChannel channel({.label = name});
    channel.port1.post_message("the last");
    PORTOLAN_CHILD_REQUIRE(channel.port2.try_receive());
    channel.port2.close();
    return channel;
  });
  REQUIRE(wait_until([&] { return place(*channel_called(closed), Side::b) == EndPlace::closed; }));
  third.kill_and_reap();
}

TEST_CASE("who waits for a message is seen, and for whom") {
  const std::string label = own_label("waited");
  const PortCensus census;
  MessageChannel channel({.label = label});
  ChildProcess reader =
      fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) { return ports[0].receive() ? 0 : 1; });
  channel.port1.start();
  std::optional<Channel> seen;
  // This process does not look at itself: what is seen is the reader's end.
  REQUIRE(wait_until([&] {
    seen = channel_called(label);
    return seen && seen->waits_for_message(Side::b);
  }));
  CHECK(owner(*seen, Side::b) == reader.pid());
  CHECK_FALSE(seen->waits_for_room(Side::b));
  channel.port1.post_message("here it is");
  CHECK(reader.wait() == ChildExit::exited(0));
}

TEST_CASE("looking maps nothing, and gives no memory to what it looks at") {
  const std::string label = own_label("sparse");
  const PortCensus census;
  ChildProcess child = living_with(label, [](const std::string& name) {
    MessageChannel channel({.label = name});
    channel.port1.post_message(std::string(100'000, 'x'));
    return channel;
  });
  std::optional<Channel> seen;
  REQUIRE(wait_until([&] {
    seen = channel_called(label);
    return seen->control.direction[0].posted_messages == 1;
  }));
  const std::uint64_t before = inspect::memory_bytes(seen->segment.file);
  CHECK(before >= 100'000);
  for (int i = 0; i < 20; ++i) REQUIRE(inspect::look_again(*seen));
  std::uint64_t in_parts = 0;
  for (const inspect::Part& part : inspect::parts_with_memory(seen->segment.file, 1000))
    in_parts += part.bytes;
  CHECK(in_parts >= 100'000);
  CHECK(in_parts <= before);  // what is reserved and was not written yet counts as a hole
  CHECK(inspect::memory_bytes(seen->segment.file) == before);
  CHECK_FALSE(maps_a_segment());
  child.kill_and_reap();
}

TEST_CASE("a control page of any content is read or refused") {
  Dice dice(random_seed());
  INFO("--seed=" << random_seed());
  const ring::Geometry geometry = ring::Geometry::for_limit(1 << 20);
  std::array<std::byte, ring::kControlBytes> page;
  std::size_t read = 0;
  for (int round = 0; round < 20'000; ++round) {
    for (std::size_t at = 0; at < page.size(); at += 8) {
      const std::uint64_t word = dice.word();
      std::memcpy(page.data() + at, &word, sizeof word);
    }
    if (!dice.one_in(8)) {  // else it is no segment at all
      ring::Header header{};
      std::memcpy(header.label, page.data(), sizeof header.label);
      header.magic = ring::kMagic;
      header.layout_version = ring::kLayoutVersion;
      header.segment_bytes = geometry.segment_bytes();
      header.block_bytes = geometry.block_bytes;
      header.block_count = geometry.block_count;
      std::memcpy(page.data(), &header, sizeof header);
    }
    inspect::ControlSnapshot snapshot;
    if (!inspect::read_control(page, geometry.segment_bytes(), snapshot).empty()) continue;
    ++read;
    const std::vector<inspect::Holder> holders(1, {1,
                                                   "x",
                                                   0,
                                                   {static_cast<std::uint32_t>(dice.roll(0, 2))},
                                                   static_cast<std::uint32_t>(dice.roll(0, 3))});
    for (const inspect::End& end : inspect::locate_ends(snapshot, holders))
      HOLDS(!end.holder || *end.holder < holders.size());
    for (const inspect::DirectionSnapshot& direction : snapshot.direction) {
      HOLDS(direction.blocks_taken <= geometry.block_count);
      HOLDS(direction.unread_messages() <= direction.posted_messages);
      HOLDS(direction.type_names.size() <= ring::kNameTableBytes / 5);
    }
    HOLDS(inspect::shown_text(snapshot.label) == snapshot.label);
  }
  CHECK(read > 10'000);
}

TEST_CASE("a header that contradicts itself or the file is refused with what is wrong") {
  const ring::Geometry geometry = ring::Geometry::for_limit(1 << 20);
  ring::Header header{};
  header.magic = ring::kMagic;
  header.layout_version = ring::kLayoutVersion;
  header.segment_bytes = geometry.segment_bytes();
  header.block_bytes = geometry.block_bytes;
  header.block_count = geometry.block_count;
  const auto fault = [&](std::uint64_t file_bytes) {
    std::array<std::byte, ring::kControlBytes> page{};
    std::memcpy(page.data(), &header, sizeof header);
    inspect::ControlSnapshot snapshot;
    return inspect::read_control(page, file_bytes, snapshot);
  };
  CHECK(fault(geometry.segment_bytes()).empty());
  CHECK(fault(geometry.segment_bytes() + 4096) == "its header contradicts itself");
  header.block_count = 5000;
  CHECK(fault(geometry.segment_bytes()) == "its header contradicts itself");
  header.layout_version = 77;
  CHECK(fault(geometry.segment_bytes()).find("layout version is 77") != std::string::npos);
  header.magic = 0;
  CHECK(fault(geometry.segment_bytes()) == "it is another program's file");
}

TEST_CASE("text of another process cannot steer the terminal") {
  CHECK(inspect::shown_text("M\xc3\xbcnchen") == "M\xc3\xbcnchen");
  CHECK(inspect::shown_text("a\033[2Jb\nc\x7f") == "a?[2Jb?c?");
  CHECK(inspect::shown_text("a\xff\xc2\x9b"
                            "b") == "a??b");
  CHECK(inspect::shown_text("a\xe2\x80\xae"
                            "b") == "a?b");
}

TEST_CASE("what was read is still there until it is overwritten, in the order in which it was posted") {
  const std::string label = own_label("recorded");
  const PortCensus census;
  constexpr int kMessages = 200;
  ChildProcess child = living_with(label, [](const std::string& name) {
    MessageChannel channel({.limit_bytes = 1, .label = name});  // 16 blocks of a page
    for (int i = 0; i < kMessages; ++i) {
      channel.port1.post_message(std::to_string(i) + std::string(500, '.'));
      PORTOLAN_CHILD_REQUIRE(channel.port2.try_receive());
    }
    channel.port1.post_message("the end");
    return channel;
  });
  std::optional<Channel> seen;
  REQUIRE(wait_until([&] {
    seen = channel_called(label);
    return seen->control.direction[0].posted_messages == kMessages + 1;
  }));
  const inspect::Recording recording =
      inspect::record(seen->segment.file, seen->control, Side::a, {.messages = 1000});
  CHECK_FALSE(recording.damaged);
  REQUIRE(recording.messages.size() > 10);  // more than the block that is being written holds
  CHECK(recording.messages.back().number == kMessages + 1);
  CHECK_FALSE(recording.messages.back().read);
  for (std::size_t i = 0; i + 1 < recording.messages.size(); ++i) {
    const inspect::RecordedMessage& message = recording.messages[i];
    CHECK(message.number + 1 == recording.messages[i + 1].number);
    CHECK(message.read);
    const std::string_view text(reinterpret_cast<const char*>(message.body.data()), message.body.size());
    CHECK(text.starts_with(std::to_string(message.number - 1) + "..."));
  }
  child.kill_and_reap();
}

TEST_CASE("a segment of any content is walked to an end, inside the segment") {
  Dice dice(random_seed());
  INFO("--seed=" << random_seed());
  const ring::Geometry geometry = ring::Geometry::for_limit(1);
  const FileDescriptor file = os::create_segment_file(geometry.segment_bytes());
  std::vector<std::byte> memory(geometry.segment_bytes());
  std::size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    for (std::size_t at = 0; at < memory.size(); at += 8) {
      // Mostly what looks like frames: short messages, JUMPs to anywhere, marks, and sometimes anything.
      std::uint64_t word = dice.roll(0, 64) << 32 | (dice.word() & 0xf0) | 1;
      if (dice.one_in(8)) word = dice.roll(0, 64) << 32 | (dice.word() & 0x3f3);
      if (dice.one_in(8)) word = dice.roll(0, 3) << 48 | dice.roll(0, 17) << 32 | 2;
      if (dice.one_in(64)) word = dice.word();
      std::memcpy(memory.data() + at, &word, sizeof word);
    }
    REQUIRE_FALSE(os::write_all(file.get(), memory, 0));
    ring::Header header{};
    header.magic = ring::kMagic;
    header.layout_version = ring::kLayoutVersion;
    header.segment_bytes = geometry.segment_bytes();
    header.block_bytes = geometry.block_bytes;
    header.block_count = geometry.block_count;
    std::memcpy(memory.data(), &header, sizeof header);
    inspect::ControlSnapshot control;
    REQUIRE(inspect::read_control(inspect::ControlPageBytes(memory.data(), ring::kControlBytes),
                                  memory.size(), control)
                .empty());
    for (const Side writer : {Side::a, Side::b}) {
      const auto recording = inspect::record(file, control, writer, {.messages = 50, .body_bytes = 100});
      HOLDS(recording.messages.size() <= 50);
      for (const auto& message : recording.messages) HOLDS(message.body.size() <= 100);
      found += recording.messages.size();
    }
  }
  CHECK(found > 500);
}

TEST_CASE("a segment of nonsense is passed over, and said to be that") {
  const ring::Geometry geometry = ring::Geometry::for_limit(1);
  const PortCensus census;
  ChildProcess child = ChildProcess::fork([geometry] {
    const FileDescriptor file = os::create_segment_file(geometry.segment_bytes());
    const std::string nonsense(4096, 'x');
    PORTOLAN_CHILD_REQUIRE(::pwrite(file.get(), nonsense.data(), nonsense.size(), 0) == 4096);
    for (;;) ::pause();
    return 0;
  });
  const std::string whose = "of pid " + std::to_string(child.pid()) + ": it is another program's file";
  CHECK(wait_until([&] {
    const auto unreadable = inspect::find_channels().unreadable;
    return std::any_of(unreadable.begin(), unreadable.end(),
                       [&](const std::string& text) { return text.ends_with(whose); });
  }));
  child.kill_and_reap();
}
