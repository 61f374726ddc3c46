// SPDX-License-Identifier: Apache-2.0

// A peer that never stops: every look at what it sends takes bounded time, and leaves no descriptor behind.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <functional>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bad_input/hostile_peer.hpp"
#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

wire::Attachment a_descriptor() {
  wire::Attachment entry;
  entry.kind = wire::AttachmentKind::descriptor;
  return entry;
}

// Sends as fast as there is room, until it ends or the other end does.
class Flood {
 public:
  explicit Flood(const std::function<bool()>& send)
      : thread_([this, send] {
          while (!stop_.load()) {
            if (send()) ++sent_;
          }
        }) {}
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() {
    stop_.store(true);
    thread_.join();
  }
  void wait_for_a_queueful() {
    REQUIRE(wait_until([&] { return sent_.load() >= 20; }));
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> sent_{0};
  std::thread thread_;
};

// Of the socket's queue, as its sender is charged for it.
int untaken_bytes(HostilePeer& peer) {
  int bytes = 0;
  REQUIRE(::ioctl(peer.socket(), SIOCOUTQ, &bytes) == 0);
  return bytes;
}

// Doorbells, or what has descriptors. How many bytes are charged for them.
int queue(HostilePeer& peer, int count, const std::vector<int>& descriptors) {
  for (int sent = 0; sent < count; ++sent) REQUIRE(peer.send(std::array{std::byte{1}}, descriptors));
  return untaken_bytes(peer);
}

// Cut off; or the queue was seen empty for a moment, and the message comes without what it names. As long as
// the closer's thread has not closed a foreign peer's descriptors there may be no room to look further, which
// is told.
void returns_from_flooded(MessagePort& port) {
  Received received;
  CHECK(wait_until([&] {
    try {
      received = port.receive();
    } catch (const PortError& shortage) {
      REQUIRE(shortage.code() == std::errc::too_many_files_open);
      return false;
    }
    return true;
  }));
  const bool stripped = received.status() == ReceiveStatus::message;
  CHECK((stripped || received.status() == ReceiveStatus::closed));
}

}  // namespace

TEST_CASE("a queue of more packets than any correct peer's ends the channel, whatever they are") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  const int wanted_bytes = 16 << 20;
  if (::setsockopt(peer.socket(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted_bytes, sizeof wanted_bytes) != 0)
    ::setsockopt(peer.socket(), SOL_SOCKET, SO_SNDBUF, &wanted_bytes, sizeof wanted_bytes);
  peer.announce(1'000'000);
  std::function<bool()> send;
  SUBCASE("orphans") {
    send = [&] { return peer.send_transfer(1, {}, wire::PacketKind::empty); };
  }
  SUBCASE("doorbells") {
    send = [&] { return peer.send(std::array{std::byte{1}}, {}); };
  }
  std::size_t sent = 0;
  while (sent < 5000 && send()) ++sent;
  if (sent < 5000) {
    MESSAGE("this machine has no queue that long");
    return;
  }
  peer.publish_table({{a_descriptor()}}, 1'000'000);
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE(
    "a flood of orphans in front of a message's packet holds nobody up, and their descriptors are closed") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  const FileDescriptor some(::dup(0));
  peer.announce(1000);
  Flood flood([&] { return peer.send_transfer(1, std::array{some.get(), some.get()}); });
  flood.wait_for_a_queueful();
  peer.publish_table({{a_descriptor()}}, 1000);
  returns_from_flooded(channel.port1);
}

TEST_CASE("a flood of doorbells in front of a message's packet holds nobody up") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  peer.announce(1);
  Flood flood([&] { return peer.send(std::array{std::byte{1}}, {}); });
  flood.wait_for_a_queueful();
  peer.publish_table({{a_descriptor()}}, 1);
  returns_from_flooded(channel.port1);
}

TEST_CASE("a flood at a sleeper costs no descriptor and does not keep it from its deadline") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  const FileDescriptor some(::dup(0));
  std::function<bool()> send;
  SUBCASE("of doorbells") {
    send = [&] { return peer.send(std::array{std::byte{1}}, {}); };
  }
  SUBCASE("of packets that nobody announced") {
    const int number = some.get();
    send = [&peer, number] { return peer.send_transfer(1, {&number, 1}); };
  }
  SUBCASE("of long packets with descriptors") {
    const int number = some.get();
    send = [&peer, number] { return peer.send(std::array<std::byte, 2000>{}, {&number, 1}); };
  }
  Flood flood(send);
  flood.wait_for_a_queueful();
  CHECK(channel.port1.receive_for(std::chrono::milliseconds(100)).status() == ReceiveStatus::timed_out);
}

TEST_CASE("a thread that waits at a flooded port rests, and looks at the socket once a millisecond") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  const int wanted_bytes = 16 << 20;
  ::setsockopt(peer.socket(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted_bytes, sizeof wanted_bytes);
  int sent = 0;
  while (sent < 5000 && peer.send(std::array{std::byte{1}}, {})) ++sent;
  if (sent < 5000) {
    MESSAGE("this machine has no queue that long");
    return;
  }
  const int each_bytes = untaken_bytes(peer) / sent;
  const auto began = std::chrono::steady_clock::now();
  CHECK(channel.port1.receive_for(std::chrono::milliseconds(30)).status() == ReceiveStatus::timed_out);
  const auto waited =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  // As many as a correct peer may ever have left there, then 16 for each rest.
  CHECK(sent - untaken_bytes(peer) / each_bytes <= 16 * (34 + waited.count()));
  peer.publish_text("a message wakes it all the same");
  CHECK(channel.port1.receive());
}

TEST_CASE("of a flood a loop takes 16 doorbells before it looks at others, or one packet with descriptors") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  std::vector<int> descriptors;
  int most_packets = 0;
  SUBCASE("of doorbells") {
    most_packets = 16;
  }
  SUBCASE("of packets with descriptors") {
    descriptors.assign(253, 0);
    most_packets = 1;
  }
  const int packet_bytes = queue(peer, 100, descriptors) / 100;
  channel.port1.on_message([](MessageEvent&) {});
  int before_bytes = untaken_bytes(peer);
  const auto check_step = [&] {
    const int bytes = untaken_bytes(peer);
    CHECK(before_bytes - bytes <= most_packets * packet_bytes);
    before_bytes = bytes;
  };
  static_cast<void>(channel.port1.native_handle());  // its loop would sleep now, and behind each dispatch()
  check_step();
  for (int turns = 0; turns < 200 && before_bytes >= packet_bytes; ++turns) {
    static_cast<void>(channel.port1.dispatch());
    check_step();
  }
  CHECK(before_bytes < packet_bytes);
}

TEST_CASE("of messages with descriptors a port gets one a turn") {
  const PortCensus census;
  MessageChannel channel;
  for (int posted = 0; posted < 3; ++posted) {
    FileDescriptor some(::dup(0));
    channel.port2.post_message("plain");
    channel.port2.post_message("with a descriptor", {.transfer = {some}});
  }
  int served = 0;
  channel.port1.on_message([&](MessageEvent&) { ++served; });
  for (const int then : {2, 4, 6}) {
    static_cast<void>(EventLoop::current().poll());
    CHECK(served == then);
  }
}

// Without a census: what counts a signal stays for the handler that may still run.
TEST_CASE("a loop looks at its descriptors after each message with descriptors") {
  int taken_before_signal = 0;
  std::thread([&] {  // whose loop ends with it, and gives the signal back
    MessageChannel heavy;
    constexpr int kMessages = 40, kBefore = 20;
    for (int posted = 0; posted < kMessages; ++posted) {
      FileDescriptor some(::dup(0));
      heavy.port1.post_message("one", {.transfer = {some}});
    }
    int taken = 0;
    EventLoop& loop = EventLoop::current();
    loop.on_signal(SIGUSR2, [&] { taken_before_signal = taken; });
    heavy.port2.on_message([&](MessageEvent&) {
      if (++taken == kBefore) ::raise(SIGUSR2);
      if (taken == kMessages) loop.stop();
    });
    loop.run();
  })
      .join();
  CHECK(taken_before_signal == 20);
}

TEST_CASE("a flood at one port keeps nobody who waits for several from the death of another's peer") {
  const PortCensus census;
  MessageChannel channel, other;
  HostilePeer peer(std::move(channel.port2));
  const int packet_bytes = queue(peer, 100, std::vector<int>(253, 0)) / 100;
  { const PortHandle dies = std::move(other.port2).release(); }
  const std::array waiting{&channel.port1, &other.port1};
  CHECK(wait_any(waiting, kPatience) == 1);
  CHECK(untaken_bytes(peer) >= 90 * packet_bytes);
}

TEST_CASE("a packet of any size and kind, with any number of descriptors, ends that channel at the most") {
  const PortCensus census;
  MessageChannel bystander;
  const FileDescriptor some(::dup(0));
  std::uint64_t round = 0;
  for (const std::size_t bytes : {0u, 1u, 2u, 8u, 47u, 48u, 49u, 100u, 4096u}) {
    for (const std::size_t descriptors : {0u, 1u, 2u, 17u, 253u}) {
      for (std::uint16_t kind = 0; kind < 5; ++kind, ++round) {
        if (bytes != wire::kPacketBytes && kind > 1) continue;  // no packet has a kind then
        CAPTURE(bytes);
        CAPTURE(descriptors);
        CAPTURE(kind);
        MessageChannel channel({.trust = round % 2 == 0 ? Trust::same_user : Trust::foreign});
        HostilePeer peer(std::move(channel.port2));
        const auto count = static_cast<std::uint32_t>(descriptors);
        const auto packet = wire::encode({static_cast<wire::PacketKind>(kind), count, 2, 1});
        std::vector<std::byte> content(std::max(bytes, packet.size()), std::byte{1});
        std::copy(packet.begin(), packet.end(), content.begin());
        content.resize(bytes);
        peer.announce(1);
        REQUIRE(peer.send(content, std::vector<int>(descriptors, some.get())));
        peer.publish_table({{a_descriptor()}}, 1);
        // Room for what the message names and little more.
        FewDescriptors few(8);
        returns_from_flooded(channel.port1);
        few.lift();
        bystander.port1.post_message(round);
        REQUIRE(bystander.port2.receive()->data<std::uint64_t>() == round);
      }
    }
  }
}

TEST_CASE("a bundle that its sender keeps filling is cut off") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const FileDescriptor kept(ends[0]);
  const std::vector<wire::Attachment> entries(300, a_descriptor());
  {
    const FileDescriptor sent(ends[1]);
    peer.announce(1);
    REQUIRE(peer.send_transfer(1, {{ends[1]}}, wire::PacketKind::bundle));
  }
  Flood flood([&] { return ::send(kept.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1; });
  flood.wait_for_a_queueful();
  peer.publish_table(entries, 1);
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a table that names more descriptors than fit leaves the message unread, and no room taken") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  peer.announce(1);
  peer.publish_table(std::vector<wire::Attachment>(65'000, a_descriptor()), 1);
  FewDescriptors few(100);
  for (int attempt = 0; attempt < 3; ++attempt)
    CHECK_THROWS_AS(static_cast<void>(channel.port1.receive()), PortError);
}

TEST_CASE("a port that closed itself delivers no more than its ring could hold, whatever the peer counts") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  HostilePeer peer(std::move(channel.port2));
  peer.publish_text("first");
  peer.publish_text("second");
  std::uint64_t delivered = 0;
  channel.port1.on_message([&](MessageEvent&) {
    if (delivered++ == 0) channel.port1.close();
    REQUIRE(delivered < 1'000'000);
    peer.publish_text("and another one");
    auto& writer = peer.page().direction[static_cast<std::size_t>(peer.side())].writer;
    writer.posted.message_count.store(~std::uint64_t{0} - 1);
  });
  EventLoop::current().run();
  CHECK(delivered > 2);
  CHECK(delivered <= (70 << 10) / 8);
}
