// SPDX-License-Identifier: Apache-2.0

// What a listener at a path, and who connects to it, must not do, and what they are told.
#include <array>
#include <chrono>
#include <cstring>
#include <doctest/doctest.h>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "names/meeting_place.hpp"
#include "names/raw_connection.hpp"
#include "names/stranger.hpp"
#include "os/socket.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"
#include "wire/name_packet.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

template <class F>
std::string refused_with(F call) {
  try {
    call();
  } catch (const PortError& error) {
    return error.what();
  }
  return "no refusal";
}

bool says(const std::string& text, std::initializer_list<std::string> words) {
  for (const std::string& word : words) {
    if (text.find(word) != std::string::npos) continue;
    MESSAGE("\"" << text << "\" does not say \"" << word << "\"");
    return false;
  }
  return true;
}

bool hangs_up(const FileDescriptor& socket) {
  pollfd asked{socket.get(), 0, 0};
  return ::poll(&asked, 1, 30'000) == 1 && (asked.revents & POLLHUP) != 0;
}

// What connect() would send, of a channel that is none of its own making.
wire::NamePacket greeting_for(const MessagePort& port, const PortHandle& handle, wire::TrustLevel trust) {
  wire::NamePacket greeting;
  greeting.kind = wire::NameKind::greeting;
  greeting.descriptor_count = 1;
  greeting.port.emplace();
  greeting.port->kind = wire::AttachmentKind::port;
  greeting.port->trust = trust;
  greeting.port->side = handle.second_side() ? wire::Side::b : wire::Side::a;
  greeting.port->expected_generation = handle.generation();
  const std::string id = port.info().id;  // two numbers, as hexadecimal digits
  for (std::size_t half = 0; half < 2; ++half) {
    const std::uint64_t number = std::stoull(id.substr(16 * half, 16), nullptr, 16);
    std::memcpy(greeting.port->channel.data() + 8 * half, &number, sizeof number);
  }
  greeting.port->size_bytes =
      static_cast<std::uint64_t>(::lseek(const_cast<PortHandle&>(handle).segment().get(), 0, SEEK_END));
  return greeting;
}

}  // namespace

TEST_CASE("an address that is none is refused with what one looks like") {
  CHECK(says(refused_with([] { Listener listener("a name"); }),
             {"Listener(\"a name\")", "letters, digits", "unix:PATH"}));
  CHECK(says(refused_with([] { static_cast<void>(connect("unix:")); }), {"connect(\"unix:\")", "no path"}));
  CHECK(says(refused_with([] { static_cast<void>(connect("unix:@x")); }), {"abstract"}));
  CHECK(says(refused_with([] { static_cast<void>(connect("unix:/" + std::string(200, 'x'))); }), {"107"}));
}

TEST_CASE("connect says where it has tried, for how long, and what to do") {
  const MeetingPlace place;
  const PortCensus census;
  CHECK(says(refused_with([&] { static_cast<void>(connect(place.address("x"), 5ms)); }),
             {"connect(\"" + place.address("x") + "\"): there is no such socket at " + place.path("x") +
                  " after 5 ms",
              "start the service"}));
  std::ofstream(place.path("file")) << "no socket";
  CHECK(says(refused_with([&] { static_cast<void>(connect(place.address("file"), 1ms)); }),
             {"nobody listens there"}));
  std::error_code error;
  CHECK_FALSE(connect(place.address("x"), -1s, error).is_open());
  CHECK(error == std::errc::timed_out);
}

TEST_CASE("a socket of another kind is not waited for") {
  const MeetingPlace place;
  const PortCensus census;
  const FileDescriptor stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, place.path("x").c_str());
  REQUIRE(::bind(stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(stream.get(), 1) == 0);
  CHECK(
      says(refused_with([&] { static_cast<void>(connect(place.address("x"))); }), {"no portolan::Listener"}));
  CHECK(says(refused_with([&] { Listener listener(place.address("x")); }), {"another program listens at"}));
}

TEST_CASE("two listeners do not share a path, and a file is in nobody's way by accident") {
  const MeetingPlace place;
  const PortCensus census;
  std::optional<Listener> first(place.address("x"));
  CHECK(says(refused_with([&] { Listener second(place.address("x")); }),
             {"somebody listens at " + place.path("x"), "x.lock", "stop it or use another path"}));
  std::error_code error;
  Listener second(place.address("x"), {}, error);
  CHECK(error == std::errc::address_in_use);
  CHECK_FALSE(second.is_open());
  CHECK_THROWS_AS(static_cast<void>(second.accept()), InvalidStateError);
  first.reset();
  Listener third(place.address("x"));
  std::ofstream(place.path("file")) << "mine";
  CHECK(says(refused_with([&] { Listener on_file(place.address("file")); }),
             {"is there and no socket", "remove it"}));
  CHECK(says(refused_with([&] { Listener nowhere(place.address("no/such")); }),
             {"No such file or directory", "directory"}));
}

TEST_CASE("a user whom the file's permissions keep out is told so at once") {
  const MeetingPlace place;
  if (!strangers_come_to(place)) return;
  const PortCensus census;
  Listener listener(place.address("x"));
  ChildProcess child = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(become_stranger());
    const std::string text = refused_with([&] { static_cast<void>(connect(place.address("x"))); });
    PORTOLAN_CHILD_REQUIRE(says(text, {"Permission denied", "ask for access"}));
    const std::string taken = refused_with([&] { Listener second(place.address("x")); });
    PORTOLAN_CHILD_REQUIRE(says(taken, {"Permission denied"}));
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "nonsense is turned away, and who says nothing is dropped after a while; everybody else is served") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"), {.patience = 1ms});
  const FileDescriptor silent = raw_connection(place.path("x")), babbling = raw_connection(place.path("x"));
  REQUIRE(::send(babbling.get(), "hello?", 6, 0) == 6);
  MessagePort port = connect(place.address("x"));
  CHECK(listener.accept().peer().pid == static_cast<std::uint32_t>(::getpid()));
  CHECK(hangs_up(babbling));
  CHECK_FALSE(listener.accept_for(20ms));
  CHECK(hangs_up(silent));
}

TEST_CASE("who says nothing is dropped when others that say nothing hold a quarter of the descriptors") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  constexpr std::size_t kLimit = 160, kWaitedFor = kLimit / 8;
  std::vector<FileDescriptor> silent;
  while (silent.size() < 2 * kWaitedFor) silent.push_back(raw_connection(place.path("x")));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low{kLimit, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK_FALSE(listener.try_accept());
  for (std::size_t i = 0; i < silent.size(); ++i) {
    CAPTURE(i);
    pollfd asked{silent[i].get(), 0, 0};
    CHECK(::poll(&asked, 1, 0) == (i < silent.size() - kWaitedFor ? 1 : 0));
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE("who says too late what it has to say is still served while it is in time") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  MessageChannel channel;
  const MessagePort& known = channel.port2;
  static_cast<void>(known.info());
  const PortHandle custody = channel.port2.custody_handle();
  const FileDescriptor late = raw_connection(place.path("x"));
  CHECK_FALSE(listener.try_accept());  // it is a silent one now
  wire::NamePacket greeting = greeting_for(known, custody, wire::TrustLevel::same_user);
  const std::array segment{const_cast<PortHandle&>(custody).segment().get()};
  REQUIRE_FALSE(os::send_packet(late.get(), wire::encode(greeting), segment));
  CHECK(listener.accept().peer().pid == static_cast<std::uint32_t>(::getpid()));
}

TEST_CASE("another user's channel that claims the same user's trust is turned away") {
  const MeetingPlace place;
  if (!strangers_come_to(place)) return;
  const PortCensus census;
  Listener listener(place.address("x"), {.permissions = 0666});
  ChildProcess child = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(become_stranger());
    MessageChannel channel;
    PortHandle custody = channel.port2.custody_handle();
    for (const auto trust : {wire::TrustLevel::same_user, wire::TrustLevel::foreign}) {
      const FileDescriptor liar = raw_connection(place.path("x"));
      const std::array segment{custody.segment().get()};
      PORTOLAN_CHILD_REQUIRE(
          !os::send_packet(liar.get(), wire::encode(greeting_for(channel.port2, custody, trust)), segment));
      PORTOLAN_CHILD_REQUIRE(hangs_up(liar));
    }
    return connect(place.address("x")).receive()->text() == "served" ? 0 : 1;
  });
  listener.accept().port().post_message("served");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("without descriptors who has connected waits, and comes once there are some") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  MessagePort port = connect(place.address("x"));
  port.post_message("patience");
  {
    const FewDescriptors few(2);
    CHECK(says(refused_with([&] { static_cast<void>(listener.try_accept()); }),
               {"no descriptors", "RLIMIT_NOFILE"}));
  }
  CHECK(listener.accept().port().receive()->text() == "patience");
}

TEST_CASE("a forked child's listener is closed, and the parent's goes on") {
  const MeetingPlace place;
  const PortCensus census;
  {
    Listener listener(place.address("x"));
    ChildProcess child = ChildProcess::fork([&] {
      PORTOLAN_CHILD_REQUIRE(!listener.is_open());
      listener.close();
      return connect(place.address("x")).receive()->text() == "still here" ? 0 : 1;
    });
    listener.accept().port().post_message("still here");
    CHECK(child.wait() == ChildExit::exited(0));
  }
  CHECK(place.empty());
}
