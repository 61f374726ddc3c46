// SPDX-License-Identifier: Apache-2.0

// Services that are killed and started again: what their clients see of it, which is nothing.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "names/stranger.hpp"
#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/body.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

const std::string kLedgerName = "org.example.ledger";

// A process keeps its connection to the broker that it was first in need of.
void find_broker() {
  static_cast<void>(reclaim("nothing", 0s));
}

// Written by whoever is killed: what counts afterwards.
struct Ledger {
  std::atomic<std::uint64_t> begun{0};     // the message that is being answered
  std::atomic<std::uint64_t> answered{0};  // the last one whose answer was posted
  std::atomic<std::uint64_t> lives{0};
  std::atomic<std::uint64_t> redelivered{0};
  std::atomic<bool> wrong{false};
};

// Answers each number with itself. A predecessor's port is taken up where it was left.
int serve(Ledger& ledger) {
  std::map<std::string, MessagePort> kept = reclaim(kLedgerName);
  MessagePort port;
  if (kept.contains("client")) {
    port = std::move(kept.at("client"));
  } else {
    Listener listener(kLedgerName);
    port = std::move(listener.accept().port());
    keep(kLedgerName, port, {.label = "client"});
  }
  ++ledger.lives;
  while (Received received = port.receive()) {
    const auto number = received->data<std::uint64_t>();
    if (received->redelivered()) ++ledger.redelivered;
    // Nothing is skipped, and nothing comes again but the one in hand.
    const std::uint64_t begun = ledger.begun.load();
    if (number != begun + 1 && !(received->redelivered() && number == begun)) ledger.wrong = true;
    ledger.begun = number;
    if (port.try_post_message(number) != PostResult::posted) return 0;  // the client has closed
    ledger.answered = number;
  }
  return 0;
}

}  // namespace

TEST_CASE("a service that is killed under load again and again loses nothing, and its client sees no close" *
          doctest::timeout(600)) {
  BrokerProcess broker;
  find_broker();
  SharedPage<Ledger> ledger;
  const PortCensus census;
  const char* const longer = std::getenv("PORTOLAN_CUSTODY_KILLS");
  const std::uint64_t kills = longer != nullptr ? std::strtoull(longer, nullptr, 10) : 200;
  // Where a kill takes long, fewer of them say as much.
  const auto enough = std::chrono::steady_clock::now() + (longer != nullptr ? 540s : 30s);
  std::optional<ChildProcess> service(ChildProcess::fork([&] { return serve(*ledger); }));
  MessagePort client = connect(kLedgerName);
  std::uint64_t posted = 0, last_answer = 0, doubled = 0;
  for (std::uint64_t kill = 0; kill <= kills; ++kill) {
    // Every other one has begun to answer what was posted after its predecessor's death.
    const std::uint64_t target = (kill % 2 == 0 ? posted : last_answer) + 5 + kill % 37;
    while (last_answer < target) {
      while (posted < last_answer + 50) REQUIRE(client.try_post_message(++posted) == PostResult::posted);
      Received answer = client.receive_for(kPatience);
      REQUIRE(answer.status() == ReceiveStatus::message);
      const auto number = answer->data<std::uint64_t>();
      // The one in hand may have been answered twice.
      if (number == last_answer)
        ++doubled;
      else
        REQUIRE(number == last_answer + 1);
      last_answer = number;
    }
    if (kill == kills || std::chrono::steady_clock::now() > enough) break;
    REQUIRE(::kill(service->pid(), SIGKILL) == 0);
    // Its successor is there before it is reaped, and waits for its end.
    ChildProcess successor = ChildProcess::fork([&] { return serve(*ledger); });
    service->kill_and_reap();
    service.emplace(std::move(successor));
  }
  CHECK_FALSE(ledger->wrong);
  CHECK(client.is_open());
  CHECK(doubled <= ledger->redelivered.load());
  MESSAGE(posted << " numbers, " << ledger->lives.load() << " lives, " << ledger->redelivered.load()
                 << " redelivered, " << doubled << " answered twice");
  client.close();
  CHECK(service->wait() == ChildExit::exited(0));
}

TEST_CASE("custody has a deadline, and then the peer is told that the owner is gone") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort port = std::move(listener.accept().port());
    keep(kLedgerName, port, {.deadline = 1ms});
    port.post_message("kept");
    for (;;) ::pause();
  });
  MessagePort client = connect(kLedgerName);
  CHECK(client.receive()->text() == "kept");
  service.kill_and_reap();
  CloseReason reason = CloseReason::closed;
  client.on_close([&](CloseEvent& event) { reason = event.reason(); });
  EventLoop::current().run();
  CHECK(reason == CloseReason::owner_gone);
  CHECK(reclaim(kLedgerName, 0s).empty());
}

TEST_CASE("a kept port that its owner closes, or drops from custody, is held no longer") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  for (const bool closes : {true, false}) {
    CAPTURE(closes);
    ChildProcess service = ChildProcess::fork([&]() -> int {
      Listener listener(kLedgerName);
      MessagePort port = std::move(listener.accept().port());
      keep(kLedgerName, port);
      if (!closes) drop_kept(kLedgerName);
      port.post_message("kept");
      if (closes) port.close();
      for (;;) ::pause();
    });
    MessagePort client = connect(kLedgerName);
    CHECK(client.receive()->text() == "kept");
    std::optional<CloseReason> reason;
    client.on_close([&](CloseEvent& event) { reason = event.reason(); });
    // Who closes is heard while it lives, and who has dropped its port when it is killed.
    if (closes) EventLoop::current().run();
    service.kill_and_reap();
    if (!closes) EventLoop::current().run();
    CHECK(reason == (closes ? CloseReason::closed : CloseReason::peer_died));
    CHECK(reclaim(kLedgerName).empty());
  }
}

TEST_CASE("a port that the service has moved away is its new owner's, whatever becomes of the service") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  Listener heir("org.example.heir");
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort port = std::move(listener.accept().port());
    keep(kLedgerName, port);
    MessagePort other = connect("org.example.heir");
    other.post_message("yours", {.transfer = {port}});
    static_cast<void>(other.receive());
    for (;;) ::pause();
  });
  MessagePort client = connect(kLedgerName);
  MessagePort from_service = std::move(heir.accept().port());
  MessagePort moved = std::move(from_service.receive()->ports()[0]);
  moved.post_message("mine now");
  CHECK(client.receive()->text() == "mine now");
  service.kill_and_reap();
  CHECK(reclaim(kLedgerName, 10s).empty());
  client.post_message("still there?");
  CHECK(moved.receive()->text() == "still there?");
}

TEST_CASE("a kept port that is under way when its custody ends is still its receiver's") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  Listener heir("org.example.heir");
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort moves = std::move(listener.accept().port());
    MessagePort stays = std::move(listener.accept().port());
    keep(kLedgerName, moves, {.label = "a", .deadline = 1ms});
    keep(kLedgerName, stays, {.label = "b", .deadline = 1ms});
    MessagePort other = connect("org.example.heir");
    other.post_message("yours", {.transfer = {moves}});
    stays.post_message("sent");
    for (;;) ::pause();
  });
  MessagePort client = connect(kLedgerName), witness = connect(kLedgerName);
  MessagePort from_service = std::move(heir.accept().port());
  CHECK(witness.receive()->text() == "sent");
  service.kill_and_reap();
  // Custody of the two ends in the order of their labels.
  CloseReason reason = CloseReason::closed;
  witness.on_close([&](CloseEvent& event) { reason = event.reason(); });
  EventLoop::current().run();
  CHECK(reason == CloseReason::owner_gone);
  MessagePort moved = std::move(from_service.receive()->ports()[0]);
  moved.post_message("mine now");
  CHECK(client.receive()->text() == "mine now");
}

TEST_CASE("reclaim waits for the owner's end, and says so when it does not come") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort port = std::move(listener.accept().port());
    keep(kLedgerName, port);
    port.post_message("kept");
    for (;;) ::pause();
  });
  MessagePort client = connect(kLedgerName);
  CHECK(client.receive()->text() == "kept");
  std::string text;
  try {
    static_cast<void>(reclaim(kLedgerName, 1ms));
  } catch (const PortError& error) {
    CHECK(error.code() == std::errc::timed_out);
    text = error.what();
  }
  CHECK(text == "reclaim(\"" + kLedgerName +
                    "\"): the process that these ports are kept for has not ended; end it first");
  service.send(SIGKILL);
  std::map<std::string, MessagePort> ports = reclaim(kLedgerName);
  REQUIRE(ports.size() == 1);
  ports.at("port").post_message("from the successor");
  CHECK(client.receive()->text() == "from the successor");
}

TEST_CASE("while one thread waits for its predecessor's end, the others make channels and fork") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort port = std::move(listener.accept().port());
    keep(kLedgerName, port);
    port.post_message("kept");
    for (;;) ::pause();
  });
  MessagePort client = connect(kLedgerName);
  CHECK(client.receive()->text() == "kept");
  std::map<std::string, MessagePort> ports;
  std::atomic<pid_t> thread{0};
  std::atomic<bool> ended{false};
  std::thread successor([&] {
    thread = ::gettid();
    try {
      ports = reclaim(kLedgerName, kPatience);
    } catch (const PortError&) {  // there are no ports then
    }
    ended = true;
  });
  CHECK(wait_until([&] { return thread != 0 && sleeps_deeply(thread); }));
  MessageChannel channel;
  ChildProcess child = ChildProcess::fork([] { return 0; });
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK_FALSE(ended);
  service.send(SIGKILL);
  successor.join();
  CHECK(ports.size() == 1);
}

// Runs under its own name after the exec, and finds its predecessor's ports with the daemon.
PORTOLAN_BODY(upgraded_service) {
  std::map<std::string, MessagePort> ports = reclaim(kLedgerName);
  if (ports.size() != 1) return 2;
  ports.at("port").post_message(ports.at("port").receive()->text());
  return 0;
}

TEST_CASE("a live upgrade by exec finds its ports by the same call") {
  BrokerProcess broker;
  find_broker();
  const PortCensus census;
  ChildProcess service = ChildProcess::fork([]() -> int {
    Listener listener(kLedgerName);
    MessagePort port = std::move(listener.accept().port());
    keep(kLedgerName, port);
    port.post_message("the old program");
    ::execl("/proc/self/exe", "names-test", "--portolan-body", "upgraded_service", nullptr);
    return 3;
  });
  MessagePort client = connect(kLedgerName);
  CHECK(client.receive()->text() == "the old program");
  client.post_message("the new program");
  CHECK(client.receive()->text() == "the new program");
  CHECK(service.wait() == ChildExit::exited(0));
}

// Started by the broker: tells who it is, and then answers.
PORTOLAN_BODY(service_on_demand) {
  std::map<std::string, MessagePort> left = reclaim(kLedgerName);
  MessagePort port;
  Listener listener(kLedgerName);
  if (left.empty()) {
    port = std::move(listener.accept().port());
    keep(kLedgerName, port);
  } else {
    port = std::move(left.at("port"));
  }
  port.post_message("I am " + std::to_string(::getpid()));
  while (Received received = port.receive())
    static_cast<void>(port.try_post_message("you said " + std::string(received->text())));
  return 0;
}

TEST_CASE(
    "a service that was started on demand and is killed is started again for the ports that wait for it") {
  const MeetingPlace services;
  std::ofstream(services.path(kLedgerName + ".service"))
      << "command = " << std::filesystem::read_symlink("/proc/self/exe").string()
      << " --portolan-body service_on_demand\n";
  BrokerProcess broker({}, {}, services.path(""));
  const PortCensus census;
  MessagePort client = connect(kLedgerName);
  // What the killed one had in hand its successor answers once more.
  const auto next_life = [&client] {
    for (;;) {
      Received received = client.receive_for(kPatience);
      REQUIRE(received.status() == ReceiveStatus::message);
      const std::string text(received->text());
      if (text.starts_with("I am ")) return std::stoi(text.substr(5));
      CHECK(text == "you said hello");
    }
  };
  for (int life = 0; life < 2; ++life) {
    const int pid = next_life();
    client.post_message("hello");
    CHECK(client.receive_for(kPatience)->text() == "you said hello");
    REQUIRE(::kill(pid, SIGKILL) == 0);
  }
  static_cast<void>(next_life());
  client.close();  // and the service ends
}

TEST_CASE("a broker of another user is given no end of a channel that stays with its user") {
  if (!strangers_come_to(MeetingPlace())) return;
  BrokerProcess broker({}, {}, {}, kStranger);
  find_broker();
  const PortCensus census;
  MessageChannel mine, anybodys({.trust = Trust::foreign});
  std::string text;
  try {
    keep(kLedgerName, mine.port1);
  } catch (const DataCloneError& error) {
    text = error.what();
  }
  CHECK(text.find("is another one's; make the channel with Trust::foreign") != std::string::npos);
  keep(kLedgerName, anybodys.port1);
  drop_kept(kLedgerName);
  Listener listener(kLedgerName);
  MessagePort port = connect(kLedgerName);
  CHECK(port.info().trust == Trust::foreign);
  CHECK(listener.accept().port().info().trust == Trust::foreign);
}
