// SPDX-License-Identifier: Apache-2.0

// Transfer lists that cannot go: the error says which entry and why, and everything stays with the caller.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// A channel that carries, and one whose end is in the list beside the wrong entry.
struct Posting {
  PortCensus census;
  MessageChannel carrier{{.label = "carrier"}};
  MessageChannel good{{.label = "good"}};
  FileDescriptor file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};

  Posting() { carrier.port1.post_message("first"); }

  // Posting with this list is a DataCloneError that says these things; then all of it works.
  void refuses(TransferList list, std::initializer_list<std::string_view> parts) {
    const std::string message =
        said_by<DataCloneError>([&] { carrier.port1.post_message("never", {.transfer = std::move(list)}); });
    check_names(message, {"post_message(\"carrier\")"});
    check_names(message, parts);
    REQUIRE(good.port1.is_open());
    REQUIRE(file);
    carrier.port1.post_message("last", {.transfer = {good.port1, file}});
    CHECK(carrier.port2.receive()->text() == "first");
    Received last = carrier.port2.receive();
    REQUIRE(last->text() == "last");
    last->ports()[0].post_message("it works");
    CHECK(good.port2.receive()->text() == "it works");
    CHECK(last->descriptors()[0]);
    CHECK(carrier.port2.try_receive().status() == ReceiveStatus::empty);
  }
};

}  // namespace

TEST_CASE("a port in its own list is refused by name, and everything listed stays") {
  Posting posting;
  posting.refuses({posting.good.port1, posting.file, posting.carrier.port1},
                  {"the port that is posted on", "leave it out"});
}

TEST_CASE("a port listed twice is refused, and the message says which") {
  Posting posting;
  posting.refuses({posting.good.port1, posting.file, posting.good.port1},
                  {"one object twice", "number 0", "list it once"});
}

TEST_CASE("a descriptor listed twice is refused, and the message says which") {
  Posting posting;
  posting.refuses({posting.good.port1, posting.file, posting.file},
                  {"one object twice", "descriptor (number 1", "list it once"});
}

TEST_CASE("a detached port in the list is refused, and the message says which") {
  Posting posting;
  MessagePort detached;
  posting.refuses({posting.good.port1, posting.file, detached},
                  {"port (number 2", "detached or closed", "list the one that was received"});
}

TEST_CASE("a port in the list that was moved away before is refused by its label") {
  Posting posting;
  MessageChannel moved({.label = "moved"});
  moved.port1.post_message("used");
  posting.good.port2.post_message("away", {.transfer = {moved.port1}});
  CHECK(posting.good.port1.receive()->text() == "away");
  posting.refuses({posting.good.port1, posting.file, moved.port1}, {"port \"moved\"", "detached or closed"});
}

TEST_CASE("a closed port in the list is refused by its label") {
  Posting posting;
  MessageChannel closed({.label = "closed"});
  closed.port1.post_message("used");
  closed.port1.close();
  posting.refuses({posting.good.port1, posting.file, closed.port1},
                  {"port \"closed\"", "detached or closed"});
}

TEST_CASE("an empty descriptor in the list is refused") {
  Posting posting;
  FileDescriptor empty;
  posting.refuses({posting.good.port1, posting.file, empty}, {"descriptor (number 2", "is empty"});
}

TEST_CASE("a port on which a Space is open is refused in the list") {
  Posting posting;
  MessageChannel busy({.label = "busy"});
  busy.port1.post_message("used");
  Space space = busy.port1.reserve(100);
  posting.refuses({posting.good.port1, posting.file, busy.port1},
                  {"\"busy\"", "a message is being written", "commit or destroy"});
  space.commit(100);
  CHECK(busy.port2.receive()->text() == "used");
  CHECK(busy.port2.receive()->bytes().size() == 100);
}

TEST_CASE("an end of a same-user channel is refused on a foreign one, and the message says how to make it") {
  const PortCensus census;
  MessageChannel foreign({.label = "foreign", .trust = Trust::foreign});
  MessageChannel trusted({.label = "trusted"});
  trusted.port1.post_message("used");
  const std::string message =
      said_by<DataCloneError>([&] { foreign.port1.post_message("never", {.transfer = {trusted.port1}}); });
  check_names(message, {"post_message(", "\"trusted\"", "Trust::same_user", "Trust::foreign"});
  trusted.port1.post_message("still here");
  CHECK(trusted.port2.receive()->text() == "used");
  CHECK(trusted.port2.receive()->text() == "still here");
}

TEST_CASE("the peer of the posting port in the list dooms both: no error, everything listed is detached") {
  const PortCensus census;
  MessageChannel doomed, good;
  CHECK(doomed.port1.try_post_message("never", {.transfer = {doomed.port2, good.port1}}) ==
        PostResult::closed);
  CHECK_FALSE(doomed.port2.is_open());
  CHECK_FALSE(good.port1.is_open());
  CHECK(good.port2.receive().status() == ReceiveStatus::closed);
  CHECK(doomed.port1.receive().status() == ReceiveStatus::closed);
  CHECK(doomed.port1.try_post_message("nobody hears") == PostResult::closed);
}

TEST_CASE("a list posted on a detached port is checked as ever, and then detached") {
  const PortCensus census;
  MessagePort detached;
  MessageChannel data;
  const std::string message = said_by<DataCloneError>([&] {
    detached.post_message("never", {.transfer = {data.port1, data.port1}});
  });
  check_names(message, {"post_message(a detached port)", "twice"});
  CHECK(data.port1.is_open());
  CHECK(detached.try_post_message("dropped", {.transfer = {data.port1}}) == PostResult::detached);
  CHECK(data.port2.receive().status() == ReceiveStatus::closed);
}
