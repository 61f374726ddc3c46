// SPDX-License-Identifier: Apache-2.0

// Strangers who meet at a path, without any daemon: what each of them gets, and when.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "names/meeting_place.hpp"
#include "names/stranger.hpp"
#include "os/refused_call.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

bool ended(const FileDescriptor& pidfd) {
  pollfd asked{pidfd.get(), POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

struct Meeting {
  std::atomic<bool> knocked{false};
};

}  // namespace

TEST_CASE("what connect returns and what the listener receives are the two ends of one channel") {
  const MeetingPlace place;
  const PortCensus census;
  {
    Listener listener(place.address("x"));
    CHECK(listener.address() == place.address("x"));
    MessagePort mine = connect(place.address("x"));
    mine.post_message("said before anybody accepted");
    ConnectEvent event = listener.accept();
    MessagePort theirs = std::move(event.port());
    CHECK(theirs.receive()->text() == "said before anybody accepted");
    theirs.post_message("said by the listener");
    CHECK(mine.receive_for(kPatience)->text() == "said by the listener");
    CHECK(mine.info().id == theirs.info().id);
    CHECK(mine.info().label == place.address("x"));
    CHECK(mine.info().trust == Trust::same_user);
    CHECK_FALSE(listener.try_accept());
  }
  CHECK(place.empty());
}

TEST_CASE("a listener knows who has connected, and sees its end") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  ChildProcess child = ChildProcess::fork([&] {
    MessagePort port = connect(place.address("x"));
    port.post_message("hello");
    return port.receive() ? 1 : 0;
  });
  ConnectEvent event = listener.accept();
  CHECK(event.type() == "connect");
  CHECK(event.peer().pid == static_cast<std::uint32_t>(child.pid()));
  CHECK(event.peer().uid == ::geteuid());
  CHECK(event.peer().gid == ::getegid());
  CHECK(event.port().peer().pid == static_cast<std::uint32_t>(child.pid()));
  CHECK(event.port().receive()->text() == "hello");
  REQUIRE(event.peer().pidfd);
  CHECK_FALSE(ended(event.peer().pidfd));
  event.port().close();
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(ended(event.peer().pidfd));
}

TEST_CASE("a listener sees the other process's end where the kernel only tells its number") {
  const MeetingPlace place;
  const PortCensus census;
  ChildProcess server = ChildProcess::fork([&] {
    // SO_PEERPIDFD and SO_PASSRIGHTS, which older kernels do not have.
    PORTOLAN_CHILD_REQUIRE(refuse_call(SYS_getsockopt, ENOPROTOOPT, 2, 0x40));
    Listener listener(place.address("x"));
    ConnectEvent event = listener.accept();
    PORTOLAN_CHILD_REQUIRE(event.peer().pidfd);
    PORTOLAN_CHILD_REQUIRE(!ended(event.peer().pidfd));
    event.port().post_message(std::to_string(event.peer().pid));
    PORTOLAN_CHILD_REQUIRE(!event.port().receive());
    pollfd asked{event.peer().pidfd.get(), POLLIN, 0};
    return ::poll(&asked, 1, 30'000) == 1 ? 0 : 1;
  });
  ChildProcess client = ChildProcess::fork([&] {
    MessagePort port = connect(place.address("x"));
    return port.receive()->text() == std::to_string(::getpid()) ? 0 : 1;
  });
  CHECK(client.wait() == ChildExit::exited(0));
  CHECK(server.wait() == ChildExit::exited(0));
}

TEST_CASE("connect waits for a listener that is not there yet") {
  const MeetingPlace place;
  SharedPage<Meeting> meeting;
  const PortCensus census;
  ChildProcess child = ChildProcess::fork([&] {
    std::error_code error;
    PORTOLAN_CHILD_REQUIRE(!connect(place.address("x"), 0s, error).is_open());
    PORTOLAN_CHILD_REQUIRE(error == std::errc::timed_out);
    meeting->knocked = true;
    MessagePort port = connect(place.address("x"));
    return port.receive()->text() == "at last" ? 0 : 1;
  });
  REQUIRE(wait_until([&] { return meeting->knocked.load(); }));
  Listener listener(place.address("x"));
  listener.accept().port().post_message("at last");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("strangers of two users get a foreign channel, and may post what such a channel takes") {
  const MeetingPlace place;
  if (!strangers_come_to(place)) return;
  const PortCensus census;
  Listener listener(place.address("x"), {.permissions = 0666});
  ChildProcess child = ChildProcess::fork([&] {
    PORTOLAN_CHILD_REQUIRE(become_stranger());
    MessagePort port = connect(place.address("x"));
    PORTOLAN_CHILD_REQUIRE(port.info().trust == Trust::foreign);
    MessageChannel channel({.trust = Trust::foreign});
    port.post_message("a port for you", {.transfer = {channel.port2}});
    return channel.port1.receive()->text() == "thanks" ? 0 : 1;
  });
  ConnectEvent event = listener.accept();
  CHECK(event.peer().uid == kStranger);
  CHECK(event.port().info().trust == Trust::foreign);
  Received received = event.port().receive();
  CHECK(received->text() == "a port for you");
  received->ports()[0].post_message("thanks");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("on_connect serves everybody who comes, in the thread's loop, until the listener is closed") {
  const MeetingPlace place;
  const PortCensus census;
  constexpr int kStrangers = 20;
  ChildProcess child = ChildProcess::fork([&] {
    std::vector<MessagePort> ports;
    for (int i = 0; i < kStrangers; ++i) ports.push_back(connect(place.address("x")));
    for (MessagePort& port : ports) port.post_message("question");
    for (MessagePort& port : ports) PORTOLAN_CHILD_REQUIRE(port.receive()->text() == "answer");
    return 0;
  });
  Listener listener(place.address("x"));
  std::vector<std::unique_ptr<MessagePort>> ports;
  int closed = 0;
  listener.on_connect([&](ConnectEvent& event) {
    ports.push_back(std::make_unique<MessagePort>(std::move(event.port())));
    MessagePort& port = *ports.back();
    port.on_message([&port](MessageEvent&) { port.post_message("answer"); });
    port.on_close([&] {
      if (++closed == kStrangers) listener.close();
    });
  });
  EventLoop::current().run();
  CHECK(closed == kStrangers);
  CHECK_FALSE(listener.is_open());
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(place.empty());
}

TEST_CASE("a listener that is unref'd, or has no handler, keeps no loop running") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  EventLoop::current().run();
  listener.on_connect([] {});
  listener.unref();
  EventLoop::current().run();
  listener.ref();
  listener.on_connect(nullptr);
  EventLoop::current().run();
  CHECK(listener.is_open());
}

TEST_CASE("a loop that sleeps is woken by who connects, and a handler that throws stops nobody") {
  const MeetingPlace place;
  const PortCensus census;
  Listener listener(place.address("x"));
  int came = 0;
  listener.on_connect([&](ConnectEvent&) {
    if (++came == 3) listener.close();
    throw std::runtime_error("no time");
  });
  ChildProcess child = ChildProcess::fork([&] {
    for (int i = 0; i < 3; ++i)
      PORTOLAN_CHILD_REQUIRE(connect(place.address("x")).receive().status() == ReceiveStatus::closed);
    return 0;
  });
  int thrown = 0;
  while (listener.is_open()) {
    try {
      EventLoop::current().run();
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  CHECK(came == 3);
  CHECK(thrown > 0);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a listener moves with its handler, and one that is assigned to is closed first") {
  const MeetingPlace place;
  const PortCensus census;
  Listener first(place.address("x"));
  int came = 0;
  first.on_connect([&](ConnectEvent& event) {
    ++came;
    CHECK(event.target() != nullptr);
    static_cast<Listener*>(event.target())->close();
  });
  Listener second(place.address("y"));
  second = std::move(first);
  MessagePort port = connect(place.address("x"));
  EventLoop::current().run();
  CHECK(came == 1);
  CHECK(place.empty());
}

TEST_CASE("an attempt that is polled by somebody else's loop gets its port, and blocks nobody") {
  const MeetingPlace place;
  const PortCensus census;
  ConnectAttempt attempt(place.address("x"));
  CHECK_FALSE(attempt.poll());
  Listener listener(place.address("x"));
  std::optional<MessagePort> port;
  while (!port) {
    pollfd asked{attempt.native_handle(), POLLIN, 0};
    REQUIRE(::poll(&asked, 1, 30'000) == 1);
    port = attempt.poll();
  }
  CHECK_THROWS_AS(static_cast<void>(attempt.poll()), InvalidStateError);
  pollfd asked{listener.native_handle(), POLLIN, 0};
  CHECK(::poll(&asked, 1, 30'000) == 1);
  std::optional<ConnectEvent> event = listener.try_accept();
  REQUIRE(event);
  event->port().post_message("welcome");
  CHECK(port->receive()->text() == "welcome");
}

TEST_CASE("the ports of who has connected and was not accepted are closed with the listener") {
  const MeetingPlace place;
  const PortCensus census;
  std::optional<Listener> listener(place.address("x"));
  MessagePort waiting = connect(place.address("x"));
  waiting.post_message("nobody reads this");
  CloseReason reason = CloseReason::protocol_error;
  waiting.on_close([&](CloseEvent& event) { reason = event.reason(); });
  listener.reset();
  EventLoop::current().run();
  CHECK(reason == CloseReason::closed);
}

TEST_CASE("a killed listener's clients see its end, and its socket is taken over") {
  const MeetingPlace place;
  const PortCensus census;
  for (int life = 0; life < 3; ++life) {
    ChildProcess child = ChildProcess::fork([&]() -> int {
      Listener listener(place.address("x"));
      MessagePort accepted = std::move(listener.accept().port());
      accepted.post_message("served");
      for (;;) ::pause();
    });
    MessagePort accepted = connect(place.address("x"));
    CHECK(accepted.receive()->text() == "served");
    MessagePort waiting = connect(place.address("x"));
    child.kill_and_reap();
    CHECK(accepted.receive().status() == ReceiveStatus::closed);
    CHECK(waiting.receive().status() == ReceiveStatus::closed);
  }
  Listener listener(place.address("x"));
  MessagePort port = connect(place.address("x"));
  CHECK(listener.accept().port().is_open());
}
