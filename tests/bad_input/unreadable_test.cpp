// SPDX-License-Identifier: Apache-2.0

// Messages that are not what their reader asks for: each says why, as an error or a messageerror, keeps its
// ports, can be read as what it is, and the next one still comes.
#include <boost/serialization/version.hpp>
#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "bad_input/hostile_peer.hpp"
#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Job {
  std::string scene;
  std::vector<double> weights;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& scene& weights;
  }
};

struct Link {
  std::unique_ptr<int> target;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& target;
  }
};

// Calls itself a Job, or a Link, of version V, and is whatever it is.
template <int V, class T = Job>
struct Forged {
  std::vector<std::uint8_t> bytes;

  void serialize(ValueWriter& archive, unsigned) { archive.save_binary(bytes.data(), bytes.size()); }
  void serialize(ValueReader& archive, unsigned) {
    bytes.resize(archive.left());
    archive.load_binary(bytes.data(), bytes.size());
  }
};

}  // namespace

namespace boost::serialization {
template <>
struct version<Job> {
  static constexpr int value = 2;
};
template <int V, class T>
struct version<Forged<V, T>> {
  static constexpr int value = V;
};
}  // namespace boost::serialization

template <>
inline constexpr std::string_view portolan::type_name<Job> = "org.example.Job";
template <int V>
inline constexpr std::string_view portolan::type_name<Forged<V, Job>> = "org.example.Job";
template <int V>
inline constexpr std::string_view portolan::type_name<Forged<V, Link>> = portolan::type_identity<Link>.name;

namespace {

// Posts `bad` with a port, and then a good Job; `Wanted` is what the receiver asks for.
template <class Wanted, class Bad>
void check_refused(const Bad& bad, std::string_view why, Trust trust = Trust::same_user) {
  CAPTURE(why);
  const PortCensus census;
  MessageChannel channel{{.trust = trust}}, inside{{.trust = trust}};

  channel.port1.post_message(bad, {.transfer = {inside.port1}});
  channel.port1.post_message(Job{"next", {}});
  {
    Received received = channel.port2.receive();
    CHECK(!received->template is<Wanted>());
    CHECK(received->what().empty());
    check_names(said_by<DataCloneError>([&] { static_cast<void>(received->template data<Wanted>()); }),
                {why});
    // Nothing of it is gone.
    CHECK_NOTHROW(static_cast<void>(received->template data<Bad>()));
    REQUIRE(received->ports().size() == 1);
    received->ports()[0].post_message("still a port");
    CHECK(inside.port2.receive()->text() == "still a port");
  }
  CHECK(channel.port2.receive()->data<Job>().scene == "next");

  MessageChannel more{{.trust = trust}};
  channel.port1.post_message(bad, {.transfer = {more.port1}});
  channel.port1.post_message(Job{"after that", {}});
  std::vector<std::string> seen;
  channel.port2.on_message_error([&](MessageEvent& event) {
    if (seen.empty()) check_names(std::string(event.what()), {why});
    seen.push_back("error with " + std::to_string(event.ports().size()) + " ports");
    if constexpr (!std::is_same_v<Wanted, Job>) channel.port1.close();
  });
  channel.port2.on_message<Wanted>([&](Wanted) {
    seen.emplace_back("message");
    channel.port1.close();
  });
  EventLoop::current().run();
  if constexpr (std::is_same_v<Wanted, Job>)
    CHECK(seen == std::vector<std::string>{"error with 0 ports", "message"});
  else
    CHECK(seen.at(0) == "error with 0 ports");
}

Forged<2> forged(std::vector<std::uint8_t> bytes) {
  return {std::move(bytes)};
}

}  // namespace

TEST_CASE("a message of another type is refused with the names of both") {
  check_refused<Job>(std::vector<Job>(2), "sent: std::vector<org.example.Job>, read as: org.example.Job");
  check_refused<std::vector<Job>>(Job(), "sent: org.example.Job v2, read as: std::vector<org.example.Job>");
  check_refused<std::string>(Job(), "sent: org.example.Job v2, read as: text");
  check_refused<Job>(std::string("text"), "sent: text, read as: org.example.Job");
  check_refused<Job>(7, "sent: number, read as: org.example.Job");
}

TEST_CASE("a message that was cut off is refused") {
  check_refused<Job>(forged({}), "1 bytes wanted, 0 left");
  check_refused<Job>(forged({1, 'x'}), "1 bytes wanted, 0 left");
  check_refused<Job>(forged({0, 1, 0, 0}), "a block longer than the message");
}

TEST_CASE("a message with bytes left over is refused") {
  check_refused<Job>(forged({0, 0, 9}), "1 bytes more than the type");
}

TEST_CASE("a message of a later class version is refused with both versions") {
  check_refused<Job>(Forged<3>{{0, 0}},
                     "sent: org.example.Job v3, read as: org.example.Job v2, the last one here");
}

TEST_CASE("a message with an absurd length is refused") {
  check_refused<Job>(forged({0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}),
                     "more elements than");
  check_refused<Job>(forged({0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2}),
                     "more than 64 bits");
}

TEST_CASE("a message with a pointer is refused from a foreign peer") {
  check_refused<Link>(Forged<0, Link>{{1, 5, 0, 0, 0}}, "not read from a foreign peer", Trust::foreign);
}

TEST_CASE("a value whose encoding nobody knows is refused, and one that has no room for its head") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port1));
  std::vector<std::byte> payload(value_head<Job>.begin(), value_head<Job>.end());
  payload.resize(payload.size() + 3, std::byte{0});
  for (const unsigned first : {0U, 2U, 0x21U, 0xFFU, 0x01U}) {
    payload[0] = static_cast<std::byte>(first);
    const auto size_bytes = static_cast<std::uint32_t>(payload.size());
    REQUIRE(peer.publish(ring::FrameHeader::message(size_bytes, 5, false, false), payload));
    const std::string said =
        said_by<DataCloneError>([&] { static_cast<void>(channel.port2.receive()->data<Job>()); });
    check_names(said, {first == 1 ? "a class version at one end" : "an encoding that this version"});
  }
  REQUIRE(peer.publish(ring::FrameHeader::message(4, 5, false, false), std::span(payload).first(4)));
  check_names(said_by<DataCloneError>([&] { static_cast<void>(channel.port2.receive()->data<Job>()); }),
              {"sent: a value that was cut off, read as: org.example.Job"});
}

TEST_CASE(
    "names of types stay with the channel when its ends move, are kept, and when its writer is killed") {
  const PortCensus census;
  MessageChannel channel, carrier;
  channel.port1.post_message(Job());
  const auto as_text = [](auto&& message) {
    return said_by<DataCloneError>([&] { static_cast<void>(message.template data<std::string>()); });
  };
  carrier.port1.post_message("here", {.transfer = {channel.port2}});
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  Received first = arrived.receive();
  check_names(as_text(*first), {"sent: org.example.Job v2"});
  Message kept = std::move(*first).keep();
  check_names(as_text(kept), {"sent: org.example.Job v2"});

  ChildProcess writer = fork_with(ports_of(std::move(channel.port1)), [](Ports& ports) {
    ports[0].post_message(Job());
    ports[0].post_message(std::vector<Job>());
    ::raise(SIGKILL);
    return 0;
  });
  CHECK(writer.wait() == ChildExit::killed(SIGKILL));
  check_names(as_text(*arrived.receive()), {"sent: org.example.Job v2"});
  check_names(as_text(*arrived.receive()), {"sent: std::vector<org.example.Job>"});
  check_names(as_text(kept), {"sent: org.example.Job v2"});
}

namespace {

template <std::size_t... N>
std::vector<std::string> said_about(std::index_sequence<N...>) {
  MessageChannel channel;
  std::vector<std::string> said;
  (
      [&] {
        channel.port1.post_message(std::array<int, N>());
        said.push_back(
            said_by<DataCloneError>([&] { static_cast<void>(channel.port2.receive()->data<Job>()); }));
      }(),
      ...);
  return said;
}

}  // namespace

TEST_CASE("more types than a channel has room to name are told apart by their fingerprints") {
  const std::vector<std::string> said = said_about(std::make_index_sequence<40>());
  check_names(said.front(), {"sent: std::array<int32, 0>, read as"});
  check_names(said.back(), {"sent: a type with fingerprint 0x", "read as: org.example.Job"});
}

TEST_CASE("a name that a peer has made up shows no control characters, and ends where the table ends") {
  const PortCensus census;
  MessageChannel channel;
  HostilePeer peer(std::move(channel.port1));
  ring::DirectionLines& lines = peer.page().direction[static_cast<std::size_t>(peer.side())];
  const std::uint32_t fingerprint = type_identity<Link>.fingerprint;
  const auto read_as_job = [&] {
    REQUIRE(peer.publish(ring::FrameHeader::message(kValueHeadBytes, 5, false, false), value_head<Link>));
    return said_by<DataCloneError>([&] { static_cast<void>(channel.port2.receive()->data<Job>()); });
  };
  std::memset(lines.names, 0x1B, sizeof lines.names);
  std::memcpy(lines.names, &fingerprint, sizeof fingerprint);
  lines.names[4] = std::byte{3};
  lines.writer.name_bytes.store(8);
  check_names(read_as_job(), {"sent: ???, read as"});
  lines.names[4] = std::byte{255};
  check_names(read_as_job(), {"sent: a type with fingerprint"});
  lines.writer.name_bytes.store(0xFFFFFFFF);
  check_names(read_as_job(), {"sent: " + std::string(255, '?') + ", read as"});
}
