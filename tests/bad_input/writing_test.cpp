// SPDX-License-Identifier: Apache-2.0

// Values that cannot be written, and what they may not do while they are: nothing is posted, nothing leaves.
#include <boost/serialization/access.hpp>
#include <cstring>
#include <doctest/doctest.h>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include <portolan/values.hpp>

#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Writes half of itself, then does what the test wants.
struct Meddler {
  std::function<void()> meddle;
  std::string half = std::string(3000, 'h');
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& half;
    if (meddle) meddle();
  }
};

struct Writing {
  PortCensus census;
  MessageChannel channel{{.label = "written to"}};
  MessageChannel data;

  // Afterwards the listed port and the channel work, and nothing of the message is there.
  void check_untouched() {
    data.port1.post_message("still here");
    CHECK(data.port2.receive()->text() == "still here");
    channel.port1.post_message("next", {.transfer = {data.port1}});
    Received next = channel.port2.receive();
    CHECK(next->text() == "next");
    CHECK(next->ports().size() == 1);
    CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
  }
};

}  // namespace

TEST_CASE("a value that throws while it is written leaves nothing behind and its list with the caller") {
  Writing writing;
  Meddler value{[] { throw std::domain_error("not today"); }};
  CHECK_THROWS_AS(writing.channel.port1.post_message(value, {.transfer = {writing.data.port1}}),
                  std::domain_error);
  writing.check_untouched();
}

TEST_CASE("a value that posts on the port it is posted on is a DataCloneError, and nothing is transferred") {
  Writing writing;
  MessagePort& port = writing.channel.port1;
  Meddler value;
  SUBCASE("bytes") {
    value.meddle = [&] { port.post_message("inside"); };
  }
  SUBCASE("with a list") {
    value.meddle = [&] { port.post_message("inside", {.transfer = {writing.data.port2}}); };
  }
  SUBCASE("another value") {
    value.meddle = [&] { port.post_message(Meddler{}); };
  }
  SUBCASE("by a reservation") {
    value.meddle = [&] { static_cast<void>(port.reserve(10)); };
  }
  const std::string message =
      said_by<DataCloneError>([&] { port.post_message(value, {.transfer = {writing.data.port1}}); });
  check_names(message,
              {"post_message(\"written to\")", "uses this port while it is being posted", "serialize"});
  writing.check_untouched();
}

TEST_CASE(
    "a value that moves away the port it is posted on is a DataCloneError, and nothing is transferred") {
  Writing writing;
  MessageChannel other;
  MessagePort& port = writing.channel.port1;
  Meddler value{[&] { other.port1.post_message("away", {.transfer = {port}}); }};
  const std::string message =
      said_by<DataCloneError>([&] { port.post_message(value, {.transfer = {writing.data.port1}}); });
  check_names(message, {"a message is being written on port \"written to\""});
  CHECK(other.port2.try_receive().status() == ReceiveStatus::empty);
  writing.check_untouched();
}

TEST_CASE("a value that sends a listed port elsewhere while it is written is refused, and the others stay") {
  Writing writing;
  MessageChannel other, listed({.label = "listed"});
  listed.port1.post_message("used");
  Meddler value;
  SUBCASE("by a transfer") {
    value.meddle = [&] { other.port1.post_message("away", {.transfer = {listed.port1}}); };
  }
  SUBCASE("by closing it") {
    value.meddle = [&] { listed.port1.close(); };
  }
  const std::string message = said_by<DataCloneError>([&] {
    writing.channel.port1.post_message(value, {.transfer = {writing.data.port1, listed.port1}});
  });
  check_names(message, {"post_message(\"written to\")", "port \"listed\" (number 1", "detached or closed"});
  writing.check_untouched();
}

TEST_CASE("a value may post on other ports while it is written") {
  Writing writing;
  MessageChannel other;
  Meddler value{[&] { other.port1.post_message("meanwhile", {.transfer = {writing.data.port2}}); }};
  writing.channel.port1.post_message(value, {.transfer = {writing.data.port1}});
  CHECK(other.port2.receive()->text() == "meanwhile");
  CHECK(writing.channel.port2.receive()->ports().size() == 1);
}

TEST_CASE("a value that closes the port it is posted on is dropped with its list, as on a closed port") {
  const PortCensus census;
  MessageChannel channel, data;
  Meddler value{[&] { channel.port1.close(); }};
  CHECK(channel.port1.try_post_message(value, {.transfer = {data.port1}}) == PostResult::closed);
  CHECK(channel.port2.receive().status() == ReceiveStatus::closed);
  CHECK(data.port2.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("while a Space is open, a post and a second Space are InvalidStateErrors that say what to do") {
  Writing writing;
  MessagePort& port = writing.channel.port1;
  {
    Space space = port.reserve(10);
    for (const std::function<void()>& second :
         {std::function<void()>([&] { port.post_message("second"); }),
          std::function<void()>([&] { static_cast<void>(port.try_reserve(10)); }),
          std::function<void()>([&] { port.post_message(Meddler{}, {.transfer = {writing.data.port1}}); })}) {
      check_names(said_by<InvalidStateError>(second),
                  {"(\"written to\")", "a Space of this port is open", "commit or destroy it"});
    }
  }
  writing.check_untouched();
}

TEST_CASE("a Space may outlive its port, and is dropped then") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<Space> space;
  {
    MessagePort port = std::move(channel.port1);
    space = port.reserve(5000);
  }
  space->bytes()[4999] = std::byte{1};
  space->commit(5000);
  CHECK(channel.port2.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a Space where the last message ends may outlive its port, be moved, and be dropped") {
  const PortCensus census;
  for (const bool committed : {true, false}) {
    CAPTURE(committed);
    MessageChannel channel;
    std::optional<Space> space;
    {
      MessagePort port = std::move(channel.port1);
      port.post_message("in use");
      Space first = port.reserve(16);
      Space second = std::move(first);
      CHECK_THROWS_AS(first.commit(0), InvalidStateError);
      space = std::move(second);
    }
    space->bytes()[15] = std::byte{1};
    if (committed) space->commit(16);
    space.reset();
    CHECK(channel.port2.receive()->text() == "in use");
    CHECK(channel.port2.receive().status() == ReceiveStatus::closed);
  }
}

TEST_CASE("a Space keeps what was written there, wherever its commit finds that it has to go") {
  const PortCensus census;
  MessageChannel channel, data, other;
  MessagePort& port = channel.port1;
  port.post_message("in use");
  // Longer than what was reserved; with a list; after a post on another port of this thread.
  Space space = port.reserve(5);
  std::memcpy(space.bytes().data(), "hello", 5);
  CHECK_THROWS_AS(port.post_message("second"), InvalidStateError);
  CHECK_THROWS_AS(static_cast<void>(port.try_reserve(1)), InvalidStateError);
  CHECK_THROWS_AS(space.commit(6), std::length_error);
  space.commit(5, {.transfer = {data.port1}});
  space = port.reserve(4);
  std::memcpy(space.bytes().data(), "turn", 4);
  other.port1.post_message("between");
  space.commit(4);
  CHECK_THROWS_AS(space.commit(4), InvalidStateError);
  port.post_message("last");
  CHECK(channel.port2.receive()->text() == "in use");
  Received received = channel.port2.receive();
  CHECK(received->text() == "hello");
  CHECK(received->ports().size() == 1);
  CHECK(channel.port2.receive()->text() == "turn");
  CHECK(channel.port2.receive()->text() == "last");
}

TEST_CASE("more room than there can be is refused, also by a number of bytes that nothing can be added to") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("in use");
  check_names(
      said_by<std::length_error>([&] { static_cast<void>(channel.port1.reserve(std::size_t{1} << 40)); }),
      {"reserve(1099511627776 bytes on channel ", "too large for one message"});
  for (std::size_t less = 0; less < 24; ++less) {
    const std::size_t bytes = std::numeric_limits<std::size_t>::max() - less;
    CHECK_THROWS_AS(static_cast<void>(channel.port1.reserve(bytes)), std::length_error);
    CHECK_THROWS_AS(static_cast<void>(channel.port1.try_reserve(bytes)), std::length_error);
  }
  channel.port1.post_message("still open");
  CHECK(channel.port2.receive()->text() == "in use");
  CHECK(channel.port2.receive()->text() == "still open");
}

TEST_CASE("a commit in a forked child is refused, and the parent's goes on") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("in use");
  Space space = channel.port1.reserve(4);
  std::memcpy(space.bytes().data(), "mine", 4);
  const pid_t child = fork();
  if (child == 0) {
    try {
      space.commit(4);
    } catch (const InvalidStateError&) {
      _exit(0);
    } catch (...) {
    }
    _exit(1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  space.commit(4);
  CHECK(channel.port2.receive()->text() == "in use");
  CHECK(channel.port2.receive()->text() == "mine");
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("a commit that finds no room for its ports says so, and works once the peer has read") {
  const PortCensus census;
  MessageChannel channel({.label = "full of ports"});
  std::size_t posted = 0;
  for (;; ++posted) {
    MessageChannel sent;
    if (channel.port1.try_post_message("port", {.transfer = {sent.port1}}) == PostResult::full) break;
  }
  MessageChannel data;
  Space space = channel.port1.reserve(4);
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::fill(space.bytes().begin(), space.bytes().end(), std::byte{'x'});
    check_names(
        said_by<QueueFullError>([&] { space.commit(4, {.transfer = {data.port1}}); }),
        {"Space::commit(4 bytes on \"full of ports\")", "no room for the ports", "let the peer read"});
  }
  for (; posted > 0; --posted) CHECK(channel.port2.receive()->text() == "port");
  space.commit(3, {.transfer = {data.port1}});
  Received received = channel.port2.receive();
  CHECK(received->text() == "xxx");
  received->ports()[0].post_message("it works");
  CHECK(data.port2.receive()->text() == "it works");
}
