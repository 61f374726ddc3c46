// SPDX-License-Identifier: Apache-2.0

// Strangers who meet by a name, through a broker in a process of its own.
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "names/raw_connection.hpp"
#include "names/stranger.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

const std::string kName = "org.example.render";

template <class F>
std::string refusal(F call) {
  try {
    call();
  } catch (const PortError& error) {
    return error.what();
  }
  return "no refusal";
}

// A listener that serves one stranger and ends.
int serve_one(const std::string& words) {
  Listener listener(kName);
  MessagePort port = std::move(listener.accept().port());
  port.post_message(words);
  return port.receive() ? 1 : 0;
}

}  // namespace

TEST_CASE("without a daemon a name is refused with where it was looked for and what to do") {
  if (std::filesystem::exists("/run/portolan.sock")) {
    MESSAGE("left out: a portoland serves this whole machine");
    return;
  }
  const MeetingPlace place;
  const char* const found = std::getenv("XDG_RUNTIME_DIR");
  const std::optional<std::string> before =
      found != nullptr ? std::optional<std::string>(found) : std::nullopt;
  ::unsetenv("PORTOLAN_SOCKET");
  ::setenv("XDG_RUNTIME_DIR", place.path("").c_str(), 1);
  const std::string expected =
      "connect(\"org.example.render\"): no portoland at $XDG_RUNTIME_DIR/portolan.sock or "
      "/run/portolan.sock; start it "
      "(systemctl --user start portoland) or use unix:PATH";
  CHECK(refusal([] { static_cast<void>(connect(kName)); }) == expected);
  CHECK(refusal([] { Listener listener(kName); }).find("no portoland at") != std::string::npos);
  std::error_code error;
  CHECK_FALSE(connect(kName, error).is_open());
  CHECK(error == std::errc::no_such_file_or_directory);
  if (before)
    ::setenv("XDG_RUNTIME_DIR", before->c_str(), 1);
  else
    ::unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("two strangers meet by a name, and the listener knows who the other one is") {
  BrokerProcess broker;
  const PortCensus census;
  Listener listener(kName);
  CHECK(listener.generation() != 0);
  ChildProcess child = ChildProcess::fork([] {
    MessagePort port = connect(kName);
    port.post_message("hello");
    return port.receive()->text() == "and hello to you" ? 0 : 1;
  });
  ConnectEvent event = listener.accept();
  CHECK(event.peer().pid == static_cast<std::uint32_t>(child.pid()));
  CHECK(event.peer().uid == ::geteuid());
  CHECK(event.peer().pidfd);
  CHECK(event.port().info().label == kName);
  CHECK(event.port().receive()->text() == "hello");
  event.port().post_message("and hello to you");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("connect waits for a name that is not there yet, and says for how long it has waited") {
  BrokerProcess broker;
  const PortCensus census;
  const std::string text = refusal([] { static_cast<void>(connect(kName, 5ms)); });
  CHECK(text.starts_with("connect(\"org.example.render\"): nobody has registered it at $PORTOLAN_SOCKET"));
  CHECK(text.find("within 5 ms; start the service") != std::string::npos);
  ChildProcess child = ChildProcess::fork([] { return serve_one("at last"); });
  CHECK(connect(kName).receive()->text() == "at last");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a name has one listener at a time, and the next one has a higher generation") {
  BrokerProcess broker;
  const PortCensus census;
  std::optional<Listener> first(kName);
  const std::uint64_t generation = first->generation();
  const std::string text = refusal([] { Listener second(kName); });
  CHECK(text.find("pid " + std::to_string(::getpid())) != std::string::npos);
  CHECK(text.find("has this name; stop it or use another name") != std::string::npos);
  first.reset();
  Listener third(kName);
  CHECK(third.generation() > generation);
}

TEST_CASE("a killed listener's name is free, and its clients see their ports closed") {
  BrokerProcess broker;
  const PortCensus census;
  for (int life = 0; life < 3; ++life) {
    ChildProcess child = ChildProcess::fork([] { return serve_one("served"); });
    MessagePort accepted = connect(kName);
    CHECK(accepted.receive()->text() == "served");
    MessagePort waiting = connect(kName);
    child.kill_and_reap();
    CHECK(accepted.receive().status() == ReceiveStatus::closed);
    CHECK(waiting.receive().status() == ReceiveStatus::closed);
  }
}

TEST_CASE("strangers of two users get a foreign channel through the broker") {
  const MeetingPlace rules;
  if (!strangers_come_to(rules)) return;
  std::ofstream(rules.path("policy")) << "allow connect uid:65534 org.example.*  # the stranger\n";
  BrokerProcess broker({}, rules.path("policy"));
  const PortCensus census;
  Listener listener(kName);
  ChildProcess child = ChildProcess::fork([] {
    PORTOLAN_CHILD_REQUIRE(become_stranger());
    const std::string refused = refusal([] { Listener thief("org.example.mine"); });
    PORTOLAN_CHILD_REQUIRE(refused.find("the policy does not let uid 65534 have this name") !=
                           std::string::npos);
    const std::string other = refusal([] { static_cast<void>(connect("com.example.other", 1ms)); });
    PORTOLAN_CHILD_REQUIRE(other.find("add an `allow connect` rule") != std::string::npos);
    MessagePort port = connect(kName);
    PORTOLAN_CHILD_REQUIRE(port.info().trust == Trust::foreign);
    port.post_message("from far away");
    return port.receive() ? 1 : 0;
  });
  ConnectEvent event = listener.accept();
  CHECK(event.peer().uid == kStranger);
  CHECK(event.port().info().trust == Trust::foreign);
  CHECK(event.port().receive()->text() == "from far away");
  event.port().close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a killed broker is noticed by no open channel, and names are back when there is another one") {
  const PortCensus census;
  BrokerProcess broker;
  Listener listener(kName);
  listener.on_connect([&](ConnectEvent& event) { event.port().post_message("back again"); });
  MessagePort mine = connect(kName);
  std::optional<ConnectEvent> event = listener.accept_for(kPatience);
  REQUIRE(event);
  const std::uint64_t generation = listener.generation();
  for (int life = 0; life < 3; ++life) {
    broker.kill();
    mine.post_message("nobody in between");
    CHECK(event->port().receive()->text() == "nobody in between");
    broker.start();
    ChildProcess child =
        ChildProcess::fork([] { return connect(kName).receive()->text() == "back again" ? 0 : 1; });
    std::optional<ChildExit> exit;
    while (!exit) {
      EventLoop::current().run_for(1ms);
      exit = child.wait(0ns);
    }
    CHECK(*exit == ChildExit::exited(0));
    CHECK(listener.generation() > generation);
  }
}

TEST_CASE("an attempt waits for a broker that is being started again") {
  const PortCensus census;
  BrokerProcess broker;
  broker.kill();  // its socket's file stays, and nobody answers there
  ConnectAttempt attempt(kName);
  CHECK_FALSE(attempt.poll());
  broker.start();
  ChildProcess child = ChildProcess::fork([] { return serve_one("patience"); });
  std::optional<MessagePort> port;
  while (!port) {
    pollfd asked{attempt.native_handle(), POLLIN, 0};
    REQUIRE(::poll(&asked, 1, 30'000) == 1);
    port = attempt.poll();
  }
  CHECK(port->receive()->text() == "patience");
  port.reset();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a broker in this very process serves it, and a forked child has nothing of it") {
  const MeetingPlace place;
  ::setenv("PORTOLAN_SOCKET", place.path("here").c_str(), 1);
  {
    std::vector<std::string> said;
    Broker broker({.socket = place.path("here"),
                   .log = [&](LogLevel, std::string_view line) { said.emplace_back(line); }});
    ChildProcess child = ChildProcess::fork([] { return serve_one("in there"); });
    ConnectAttempt attempt(kName);
    std::optional<MessagePort> port;
    CHECK(wait_until([&] {
      broker.dispatch();
      if (!port) port = attempt.poll();
      return port.has_value();
    }));
    CHECK(port->receive_for(kPatience)->text() == "in there");
    CHECK(broker.counts().names == 1);
    port.reset();
    CHECK(child.wait() == ChildExit::exited(0));
    CHECK(wait_until([&] {
      broker.dispatch();
      return broker.counts().connections == 0;
    }));
    CHECK(broker.counts().names == 0);
    REQUIRE(said.size() == 2);
    CHECK(said[0].starts_with("name_registered uid=" + std::to_string(::geteuid())));
    CHECK(said[1].starts_with("name_gone "));
  }
  CHECK(place.empty());
  ::unsetenv("PORTOLAN_SOCKET");
}

namespace {

bool was_told(const FileDescriptor& connection) {
  char packet[256];
  return ::recv(connection.get(), packet, sizeof packet, MSG_DONTWAIT) > 0;
}

bool was_closed(const FileDescriptor& connection) {
  pollfd asked{connection.get(), 0, 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLHUP) != 0;
}

std::vector<FileDescriptor> all_descriptors_that_are_left() {
  std::vector<FileDescriptor> taken;
  for (;;) {
    FileDescriptor each(::fcntl(0, F_DUPFD_CLOEXEC, 0));
    if (!each) return taken;
    taken.push_back(std::move(each));
  }
}

}  // namespace

TEST_CASE("who has too many connections is told which option raises them, and is not served") {
  const MeetingPlace place;
  ::setenv("PORTOLAN_SOCKET", place.path("here").c_str(), 1);
  {
    Broker broker({.socket = place.path("here"), .limits = {.connections = 1}});
    ConnectAttempt first(kName);
    CHECK(wait_until([&] {
      broker.dispatch();
      static_cast<void>(first.poll());
      return broker.counts().waiting == 1;
    }));
    ConnectAttempt second(kName);
    std::string why;
    CHECK(wait_until([&] {
      broker.dispatch();
      why = refusal([&] { static_cast<void>(second.poll()); });
      return why != "no refusal";
    }));
    CHECK(why.find("raise --connections") != std::string::npos);
    CHECK(broker.counts().connections == 1);
    CHECK(broker.counts().waiting == 1);
  }
  ::unsetenv("PORTOLAN_SOCKET");
}

TEST_CASE(
    "connections that were turned away are let go of for the descriptors, and when their second is over") {
  const MeetingPlace place;
  bool cannot_accept = false;
  Broker broker({.socket = place.path("here"),
                 .limits = {.connections = 1},
                 .log = [&](LogLevel, std::string_view line) {
                   cannot_accept = cannot_accept || line.starts_with("cannot_accept");
                 }});
  const FileDescriptor served = raw_connection(place.path("here"));
  CHECK(wait_until([&] { return broker.dispatch(), broker.counts().connections == 1; }));
  // Several, since another thread of this program may want a descriptor for a moment.
  std::vector<FileDescriptor> turned_away;
  for (int i = 0; i < 8; ++i) {
    turned_away.push_back(raw_connection(place.path("here")));
    CHECK(wait_until([&] { return broker.dispatch(), was_told(turned_away.back()); }));
  }
  CHECK_FALSE(was_closed(turned_away.back()));
  {
    const FileDescriptor newcomer = raw_connection(place.path("here"));
    const std::vector<FileDescriptor> taken = all_descriptors_that_are_left();
    CHECK(wait_until([&] { return broker.dispatch(), was_told(newcomer); }));
    CHECK(was_closed(turned_away.back()));
    CHECK_FALSE(cannot_accept);
  }
  const FileDescriptor last = raw_connection(place.path("here"));
  CHECK(wait_until([&] { return broker.dispatch(), was_closed(last); }));
  CHECK_FALSE(was_closed(served));
}
