// SPDX-License-Identifier: Apache-2.0

// What the successor of a killed owner finds, message for message.
#include <csignal>
#include <doctest/doctest.h>
#include <thread>
#include <unistd.h>

#include "crash/diary.hpp"
#include "crash/system_calls.hpp"
#include "crash/ward.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kHeld = 7;
constexpr std::uint64_t kPosted = 20;

// Reads up to message kHeld, and dies with it in hand.
int die_with_one_in_hand(Ports& ports) {
  for (std::uint64_t number = 0;; ++number) {
    Received received = ports[0].receive();
    PORTOLAN_CHILD_REQUIRE(number_of(*received) == number);
    if (number == kHeld) kill_me();
  }
}

// Takes all of them at once, lets go of some, and dies.
int die_within_a_batch(Ports& ports) {
  std::vector<Received> batch(kPosted);
  PORTOLAN_CHILD_REQUIRE(ports[0].receive_batch(batch) == kPosted);
  for (std::uint64_t number = 0; number < kHeld; ++number) batch[number] = Received();
  kill_me();
  return 0;
}

struct Audience {
  std::atomic<std::uint64_t> posted{0};
};

}  // namespace

TEST_CASE("the successor of a reader gets the message in hand again, marked, and all later ones once") {
  const PortCensus census;
  MessageChannel data, carried;
  for (std::uint64_t number = 0; number < kPosted; ++number) {
    if (number == kHeld + 5)
      data.port1.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {carried.port2}});
    else
      post_numbered(data.port1, number);
  }
  Ward ward(ports_of(std::move(data.port2)), die_with_one_in_hand);
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  MessagePort successor = ward.recover(0);
  for (std::uint64_t number = kHeld; number < kPosted; ++number) {
    Received received = successor.receive();
    CHECK(number_of(*received) == number);
    CHECK(received->redelivered() == (number == kHeld));
    if (number != kHeld + 5) continue;
    MessagePort& port = received->ports()[0];
    carried.port1.post_message("hello");
    CHECK(port.receive()->text() == "hello");
    port.post_message("yes");
    CHECK(carried.port1.receive()->text() == "yes");
  }
  CHECK(successor.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("the successor of a reader that held a batch gets what it had not let go of, marked") {
  const PortCensus census;
  MessageChannel data;
  for (std::uint64_t number = 0; number < kPosted; ++number) post_numbered(data.port1, number);
  Ward ward(ports_of(std::move(data.port2)), die_within_a_batch);
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  post_numbered(data.port1, kPosted);
  MessagePort successor = ward.recover(0);
  Received received = successor.receive();
  const std::uint64_t first = number_of(*received);
  CHECK(first <= kHeld);  // a batch may count as read with its last message only
  for (std::uint64_t number = first; number <= kPosted; ++number) {
    if (number != first) received = successor.receive();
    CHECK(number_of(*received) == number);
    CHECK(received->redelivered() == (number < kPosted));
  }
}

TEST_CASE("a reader whose writer was killed between publishing and ringing wakes at the adoption") {
  SharedPage<Audience> audience;
  const PortCensus census;
  MessageChannel data;
  Ward ward(ports_of(std::move(data.port1)), [&](Ports& ports) {
    system_calls().before_doorbell = kill_me;
    // Until its reader sleeps so deeply that it needs a doorbell.
    for (;; ::usleep(20'000)) {
      audience->posted.fetch_add(1);
      ports[0].post_message("something");
    }
    return 0;
  });
  std::atomic<std::uint64_t> received{0};
  {
    const std::jthread reader([&] {
      while (data.port2.receive().status() == ReceiveStatus::message) ++received;
    });
    CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
    MessagePort successor = ward.recover(0);
    CHECK(wait_until([&] { return received.load() == audience->posted.load(); }));
    successor.close();
  }
  CHECK(received.load() == audience->posted.load());
}

TEST_CASE("a successor that is killed while it recovers has a successor") {
  const PortCensus census;
  MessageChannel data;
  data.port2.post_message("unread");
  Ward ward(ports_of(std::move(data.port1)), [](Ports& ports) {
    ports[0].post_message("first");
    kill_me();
    return 0;
  });
  CHECK(ward.process().wait() == ChildExit::killed(SIGKILL));
  PortHandle again = duplicate(ward.custody(0));
  ChildProcess second = ChildProcess::fork([&] {
    MessagePort port = ward.recover(0);
    port.post_message("second");
    kill_me();
    return 0;
  });
  CHECK(second.wait() == ChildExit::killed(SIGKILL));
  ward.custody(0) = {};
  // The keeper knows what its own wards have done: one adoption each.
  const std::uint64_t generation = again.generation() + 3;
  PortHandle custody(std::move(again.segment()), std::move(again.socket()), generation, again.second_side());
  MessagePort third = MessagePort::recover(std::move(custody), ward.pidfd());
  third.post_message("third");
  CHECK(third.receive()->text() == "unread");
  for (const char* const text : {"first", "second", "third"}) CHECK(data.port2.receive()->text() == text);
}
