// SPDX-License-Identifier: Apache-2.0

// What a peer can write and send that no correct one does: its channel ends with protocol_error, told once on
// both sides, within bounded time and without a descriptor left; nobody else notices.
#include "bad_input/hostile_peer.hpp"

#include <array>
#include <doctest/doctest.h>
#include <functional>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr auto kProtocolError = static_cast<std::uint32_t>(CloseReason::protocol_error) + 1;

wire::Attachment of_kind(wire::AttachmentKind kind, std::uint64_t size_bytes = 0) {
  wire::Attachment entry;
  entry.kind = kind;
  entry.size_bytes = size_bytes;
  return entry;
}
const wire::Attachment kDescriptor = of_kind(wire::AttachmentKind::descriptor);

constexpr std::array<std::byte, 8> kEight{};

struct Misdeed {
  std::string name;
  std::function<void(HostilePeer&)> commit;
};

std::vector<Misdeed> in_the_ring() {
  return {
      {"a message whose table is empty", [](HostilePeer& peer) { peer.publish_table({}, 1); }},
      {"a mark that names a descriptor",
       [](HostilePeer& peer) { peer.publish_table({{kDescriptor}}, 1, false, 0, true); }},
      {"a frame of an unknown kind", [](HostilePeer& peer) { peer.publish(ring::FrameHeader{0x7}, {}); }},
      {"a frame with unknown bits", [](HostilePeer& peer) { peer.publish(ring::FrameHeader{0x1001}, {}); }},
      {"a frame that is a request and a reply",
       [](HostilePeer& peer) {
         peer.publish(ring::FrameHeader::message(8, 1, false, false).as_request().as_reply(), kEight);
       }},
      {"a reply that does not say to what",
       [](HostilePeer& peer) {
         peer.publish(ring::FrameHeader::message(0, 1, false, false).as_reply(), {});
       }},
      {"a mark that is a reply",
       [](HostilePeer& peer) { peer.publish(ring::FrameHeader::mark(8).as_reply(), kEight); }},
      {"a reply with a table and no room for what it answers",
       [](HostilePeer& peer) {
         std::array<std::byte, wire::attachments_bytes(1) + 8> payload{};  // its last word: of no bytes
         wire::write_attachments(std::span(payload).first(wire::attachments_bytes(1)), 2, 1, {{kDescriptor}});
         const auto size_bytes = static_cast<std::uint32_t>(payload.size());
         peer.publish(ring::FrameHeader::message(size_bytes, 1, true, false).as_reply(), payload);
       }},
      {"a JUMP out of the direction",
       [](HostilePeer& peer) {
         peer.publish(ring::FrameHeader::jump({1023, 9}), {});
       }},
      {"a JUMP to no blocks",
       [](HostilePeer& peer) {
         peer.publish(ring::FrameHeader::jump({5, 0}), {});
       }},
      {"a frame with a table that has no room for one",
       [](HostilePeer& peer) { peer.publish(ring::FrameHeader::message(8, 1, true, false), {}); }},
      {"a payload longer than its frame",
       [](HostilePeer& peer) { peer.publish_table({{kDescriptor}}, 1, false, 1 << 20); }},
      {"a transfer without a number", [](HostilePeer& peer) { peer.publish_table({{kDescriptor}}, 0); }},
      {"a body that is not said in the header",
       [](HostilePeer& peer) {
         peer.publish_table({{of_kind(wire::AttachmentKind::large_body, 4096)}}, 1, false, 0);
       }},
      {"a body of another size than in the table",
       [](HostilePeer& peer) {
         peer.publish_table({{of_kind(wire::AttachmentKind::large_body, 4096)}}, 1, true, 8192);
       }},
      {"a body larger than any message",
       [](HostilePeer& peer) {
         const std::uint64_t bytes = (std::uint64_t{1} << 36) + 4096;
         peer.publish_table({{of_kind(wire::AttachmentKind::large_body, bytes)}}, 1, true, bytes);
       }},
  };
}

// 300 descriptors in a bundle, and a packet of nothing before them.
void send_bundle_with_an_empty_packet(HostilePeer& peer) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const FileDescriptor kept(ends[0]), sent(ends[1]);
  peer.announce(1);
  REQUIRE(peer.send_transfer(1, {{sent.get()}}, wire::PacketKind::bundle));
  peer.publish_table(std::vector<wire::Attachment>(300, kDescriptor), 1);
  const std::vector<int> descriptors(150, 0);
  REQUIRE(peer.send_over(kept.get(), std::array{std::byte{1}}, {}));
  for (int half = 0; half < 2; ++half)
    REQUIRE(peer.send_over(kept.get(), wire::encode({wire::PacketKind::transfer, 150, 0, 1}), descriptors));
}

// With a frame that waits for one descriptor.
std::vector<Misdeed> on_the_socket() {
  const auto with_frame = [](std::function<void(HostilePeer&, int)> send) {
    return [send](HostilePeer& peer) {
      const FileDescriptor some(::dup(0));
      peer.announce(1);
      send(peer, some.get());
      peer.publish_table({{kDescriptor}}, 1);
    };
  };
  return {
      {"more descriptors than the table says", with_frame([](HostilePeer& peer, int some) {
         peer.send_transfer(1, std::array{some, some, some});
       })},
      {"a packet that says another count than came", with_frame([](HostilePeer& peer, int some) {
         peer.send(wire::encode({wire::PacketKind::transfer, 3, 2, 1}), {&some, 1});
       })},
      {"a packet of another length", with_frame([](HostilePeer& peer, int some) {
         peer.send(std::array<std::byte, 47>{}, {&some, 1});
       })},
      {"a packet longer than any", with_frame([](HostilePeer& peer, int some) {
         peer.send(std::array<std::byte, 4000>{}, {&some, 1});
       })},
      {"a packet of zeros", with_frame([](HostilePeer& peer, int some) {
         peer.send(std::array<std::byte, wire::kPacketBytes>{}, {&some, 1});
       })},
      {"a doorbell with a descriptor", with_frame([](HostilePeer& peer, int some) {
         peer.send(std::array{std::byte{1}}, {&some, 1});
       })},
      {"an empty packet for a frame with a descriptor",
       with_frame([](HostilePeer& peer, int) { peer.send_transfer(1, {}, wire::PacketKind::empty); })},
      {"a bundle with a packet of nothing", send_bundle_with_an_empty_packet},
      {"a bundle where one packet would do", with_frame([](HostilePeer& peer, int some) {
         peer.send_transfer(1, {&some, 1}, wire::PacketKind::bundle);
       })},
  };
}

void ends_what_is_read_by_hand(const Misdeed& misdeed) {
  INFO(misdeed.name);
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  peer.publish_text("before");
  misdeed.commit(peer);
  CHECK(channel.port1.receive()->text() == "before");
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(channel.port1.try_receive().status() == ReceiveStatus::closed);
  CHECK(channel.port1.try_post_message("too late") == PostResult::closed);
  CHECK(peer.closed_word() == kProtocolError);
}

void ends_what_a_loop_reads(const Misdeed& misdeed) {
  INFO(misdeed.name);
  const PortCensus census;
  MessageChannel channel, bystander;
  HostilePeer peer(std::move(channel.port2));
  std::vector<std::string> events;
  channel.port1.on_message([&](MessageEvent& event) { events.emplace_back(event.text()); });
  channel.port1.on_close([&](CloseEvent& event) { events.emplace_back(to_string(event.reason())); });
  peer.publish_text("before");
  misdeed.commit(peer);
  EventLoop::current().run();
  EventLoop::current().poll();
  CHECK(events == std::vector<std::string>{"before", "protocol_error"});
  CHECK(peer.closed_word() == kProtocolError);
  bystander.port1.post_message("as ever");
  CHECK(bystander.port2.receive()->text() == "as ever");
}

}  // namespace

TEST_CASE("what no correct peer writes into the ring ends that channel with protocol_error, once") {
  for (const Misdeed& misdeed : in_the_ring()) {
    ends_what_is_read_by_hand(misdeed);
    ends_what_a_loop_reads(misdeed);
  }
}

TEST_CASE("a peer that misbehaves ahead of unread messages ends a request, and the channel with it") {
  for (const Misdeed& misdeed : in_the_ring()) {
    INFO(misdeed.name);
    const PortCensus census;
    MessageChannel channel;
    HostilePeer peer(std::move(channel.port2));
    Reply reply = channel.port1.request("question", {.timeout = kPatience});
    peer.publish_text("in front");
    misdeed.commit(peer);
    // What a look ahead need not look at is found when it is read.
    peer.publish(ring::FrameHeader::message(8, 1, false, false).as_reply(), kEight);
    bool answered = true;
    try {
      static_cast<void>(reply.get());
    } catch (const RequestError& error) {
      answered = false;
      CHECK(error.status() == ReplyStatus::closed);
    }
    if (!answered) continue;
    CHECK(channel.port1.receive()->text() == "in front");
    CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
    CHECK(peer.closed_word() == kProtocolError);
  }
}

TEST_CASE("what no correct peer sends on the socket ends that channel and leaves no descriptor") {
  for (const Misdeed& misdeed : on_the_socket()) {
    ends_what_is_read_by_hand(misdeed);
    ends_what_a_loop_reads(misdeed);
  }
}

TEST_CASE("a peer that bends its ring back to a message in hand ends that channel, and the message stays") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  const std::string long_text(2000, 'x');  // more than the first extent holds
  peer.publish_text(long_text);
  std::optional<MessageEvent> in_hand(std::move(*channel.port1.receive()));
  Message kept;
  SUBCASE("of which the event lives") {}
  SUBCASE("which was kept") {
    kept = std::move(*in_hand).keep();
    in_hand.reset();
  }
  peer.publish(ring::FrameHeader::jump(peer.run()), {});
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(channel.port1.close_reason() == CloseReason::protocol_error);
  CHECK((in_hand ? in_hand->text() : kept.text()) == long_text);
}

TEST_CASE("a violation found by hand is told to the loop that the port is bound to later") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port2));
  peer.publish(ring::FrameHeader{0x7}, {});
  CHECK(channel.port1.receive().status() == ReceiveStatus::closed);
  CHECK(channel.port1.close_reason() == CloseReason::protocol_error);
  std::vector<CloseReason> reasons;
  channel.port1.on_close([&](CloseEvent& event) { reasons.push_back(event.reason()); });
  EventLoop::current().poll();
  EventLoop::current().poll();
  CHECK(reasons == std::vector{CloseReason::protocol_error});
}
