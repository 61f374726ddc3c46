// SPDX-License-Identifier: Apache-2.0

// Both ends of a channel killed in the middle of a conversation, and both taken up again at once.
#include <cstdlib>
#include <doctest/doctest.h>
#include <thread>
#include <unistd.h>

#include "crash/diary.hpp"
#include "ring/random_seed.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// What each end tells of itself.
struct Speaker {
  Diary diary;
  std::atomic<std::uint64_t> posted{0};
};
using Speakers = std::array<Speaker, 2>;

constexpr std::uint64_t kMixture = 512;  // one large message, and one with a port, among so many

void post_in_turn(MessagePort& port, Diary& diary, std::uint64_t number) {
  if (number % kMixture == 1) {
    diary.phase = Phase::transfer;
    MessageChannel carried;
    post_numbered(carried.port1, number);
    port.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {carried.port2}});
  } else if (number % kMixture == kMixture / 2) {
    diary.phase = Phase::grow;
    post_large_numbered(port, number);
  } else {
    diary.phase = Phase::post;
    post_numbered(port, number);
  }
}

// Posts and receives in turn, whatever the other end does; what is full is tried again.
int converse(MessagePort& port, Speaker& own) {
  for (;;) {
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t number = own.posted;
      try {
        post_in_turn(port, own.diary, number);
      } catch (const QueueFullError&) {
        break;
      }
      own.posted = number + 1;
    }
    own.diary.phase = Phase::receive;
    while (Received received = port.try_receive()) {
      PORTOLAN_CHILD_REQUIRE(number_of(*received) == own.diary.seen);
      own.diary.seen = own.diary.seen + 1;
      received = Received();
      own.diary.done = own.diary.seen.load();
    }
  }
}

// What `from` had posted and `to` had not let go of.
std::string go_on(MessagePort& port, const Speaker& from, const Speaker& to) {
  Complaint complaint;
  std::uint64_t next = to.diary.done;
  for (bool first = true;; first = false) {
    Received received = port.try_receive();
    if (!received) break;
    const std::uint64_t number = number_of(*received);
    if (first && to.diary.seen > to.diary.done && number == next + 1) ++next;
    complaint.require(number == next++, "a message lost, twice or out of order", number);
    complaint.require(received->redelivered() || number >= to.diary.seen, "a message twice, unmarked",
                      number);
    complaint.require(first || !received->redelivered(), "a later message marked", number);
    complaint.require(whole(*received), "a torn message", number);
    if (number % kMixture != 1) continue;
    complaint.require(received->ports().size() == 1, "a port lost", number);
    if (!complaint.text().empty() || received->redelivered()) continue;
    Received tag = next_of(received->ports()[0]);
    complaint.require(tag && number_of(*tag) == number, "a carried port has not its message", number);
  }
  const std::uint64_t posted = from.posted;
  if (next < posted && to.diary.seen == next + 1) ++next;  // the last one was let go of, and not told
  complaint.require(next == posted || next == posted + 1, "the end lost", next);
  return complaint.text();
}

bool answers(MessagePort& one, MessagePort& other) {
  one.post_message("hello");
  Received received = next_of(other);
  return received && received->text() == "hello";
}

}  // namespace

TEST_CASE("both ends killed and taken up again go on with all that was committed" * doctest::timeout(800)) {
  const char* const wished = std::getenv("PORTOLAN_BOTH_ENDS_KILLS");
  const std::uint64_t rounds = wished != nullptr ? std::strtoull(wished, nullptr, 10) : 150;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  std::array<Killer, 2> killers{Killer(seed), Killer(~seed)};
  SharedPage<Speakers> speakers;
  const PortCensus census;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    CAPTURE(round);
    for (Speaker& speaker : *speakers) {
      speaker.diary.phase = Phase::not_begun;
      speaker.diary.seen = speaker.diary.done = speaker.posted = 0;
    }
    MessageChannel data({.limit_bytes = 1 << 20});
    Ward one(
        ports_of(std::move(data.port1)), [&](Ports& ports) { return converse(ports[0], (*speakers)[0]); },
        [&] { (*speakers)[0].diary.phase = Phase::adopt; });
    Ward other(
        ports_of(std::move(data.port2)), [&](Ports& ports) { return converse(ports[0], (*speakers)[1]); },
        [&] { (*speakers)[1].diary.phase = Phase::adopt; });
    killers[0].kill(one, (*speakers)[0].diary, 1500);
    killers[1].kill(other, (*speakers)[1].diary, 300);
    MessagePort ends[2];
    {
      // At the same time: what the one finds may be what the other is changing.
      const std::jthread beside([&] { ends[0] = one.recover(0); });
      ends[1] = other.recover(0);
    }
    CHECK(go_on(ends[0], (*speakers)[1], (*speakers)[0]) == "");
    CHECK(go_on(ends[1], (*speakers)[0], (*speakers)[1]) == "");
    CHECK(answers(ends[0], ends[1]));
    CHECK(answers(ends[1], ends[0]));
    ends[round % 2].close();
    MessagePort& told = ends[1 - round % 2];
    CHECK(next_of(told).status() == ReceiveStatus::closed);
    CHECK(close_reasons(told) == std::vector{CloseReason::closed});
  }
  for (const Killer& killer : killers) killer.report();
}
