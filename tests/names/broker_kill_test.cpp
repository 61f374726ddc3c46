// SPDX-License-Identifier: Apache-2.0

// A broker that is killed again and again while strangers meet through it and ports are kept with it.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <list>
#include <random>
#include <string>
#include <thread>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "port/hand_over.hpp"
#include "ring/random_seed.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

const std::string kEcho = "org.example.echo";

struct Meetings {
  std::atomic<std::uint64_t> answers{0};  // on the channel that was there before
  std::atomic<std::uint64_t> met{0};      // strangers who met and had an answer
  std::atomic<std::uint64_t> parted{0};   // whom the broker's death kept from meeting
  std::atomic<bool> stop{false};
};

// Answers every number with itself, to whoever comes.
int echo_all(const Meetings& told) {
  Listener listener(kEcho);
  std::list<MessagePort> ports;
  listener.on_connect([&](ConnectEvent& event) {
    MessagePort& port = ports.emplace_back(std::move(event.port()));
    port.on_message<std::uint64_t>(
        [&port](std::uint64_t number) { static_cast<void>(port.try_post_message(number)); });
  });
  while (!told.stop) {
    EventLoop::current().run_for(10ms);
    ports.remove_if([](const MessagePort& port) { return !port.is_open(); });
  }
  return 0;
}

bool answered(MessagePort& port, std::uint64_t number) {
  if (port.try_post_message(number) != PostResult::posted) return false;
  Received answer = port.receive_for(kPatience);
  PORTOLAN_CHILD_REQUIRE(answer.status() != ReceiveStatus::timed_out);
  return answer && answer->data<std::uint64_t>() == number;
}

// One channel that stays.
int stay_connected(Meetings& told) {
  MessagePort port = connect(kEcho, kPatience);
  for (std::uint64_t number = 0; !told.stop; ++number) {
    PORTOLAN_CHILD_REQUIRE(answered(port, number));
    ++told.answers;
  }
  return 0;
}

// And one after the other that comes and goes.
int come_and_go(Meetings& told) {
  for (std::uint64_t number = 0; !told.stop; ++number) {
    try {
      MessagePort port = connect(kEcho, kPatience);
      ++(answered(port, number) ? told.met : told.parted);
    } catch (const PortError&) {
      ++told.parted;
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("a broker that is killed again and again under load ends no channel, and strangers go on meeting" *
          doctest::timeout(900)) {
  const char* const longer = std::getenv("PORTOLAN_BROKER_KILLS");
  const std::uint64_t kills = longer != nullptr ? std::strtoull(longer, nullptr, 10) : 20;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  SharedPage<Meetings> told;
  const PortCensus census;
  BrokerProcess broker;
  ChildProcess service = ChildProcess::fork([&] { return echo_all(*told); });
  ChildProcess staying = ChildProcess::fork([&] { return stay_connected(*told); });
  ChildProcess coming = ChildProcess::fork([&] { return come_and_go(*told); });
  for (std::uint64_t kill = 0; kill < kills; ++kill) {
    CAPTURE(kill);
    const std::uint64_t met = told->met, answers = told->answers;
    REQUIRE(wait_until([&] { return told->met > met && told->answers > answers; }));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 2'000));
    broker.kill();
    broker.start();
  }
  told->stop = true;
  CHECK(staying.wait() == ChildExit::exited(0));
  CHECK(coming.wait() == ChildExit::exited(0));
  CHECK(service.wait() == ChildExit::exited(0));
  MESSAGE(kills << " brokers killed, " << told->answers.load() << " answers, " << told->met.load() << " met, "
                << told->parted.load() << " parted");
}
