// SPDX-License-Identifier: Apache-2.0

// A thousand kill -9 each of a sender, a receiver and a middleman, at moments that nobody chose.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <unistd.h>

#include "crash/diary.hpp"
#include "crash/edges.hpp"
#include "ring/random_seed.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::uint64_t kTail = ~std::uint64_t{0} - 1;

std::uint64_t rounds() {
  const char* const wished = std::getenv("PORTOLAN_KILLS");
  return wished != nullptr ? std::strtoull(wished, nullptr, 10) : 1000;
}

// A port comes with its own number in it, and ends when it was let go of.
void check_carried(MessagePort& port, std::uint64_t number, Complaint& complaint) {
  Received tag = next_of(port);
  complaint.require(tag && number_of(*tag) == number, "a carried port has not its message", number);
}

// ---- a sender that is killed; its peer reads what it has committed, then what its successor says, or that
// it died

// One port and one large message among so many; as many small ones as take about as long.
constexpr std::uint64_t kPeriod = 1024;

void send_until_killed(MessagePort& port, Diary& diary, std::uint64_t most) {
  for (std::uint64_t number = diary.done; number < most; ++number) {
    if (number % kPeriod == 1) {
      diary.phase = Phase::adopt;
      MessageChannel carried;
      post_numbered(carried.port1, number);
      diary.phase = Phase::transfer;
      port.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {carried.port2}});
    } else if (number % kPeriod == kPeriod / 2) {
      diary.phase = Phase::grow;
      post_large_numbered(port, number);
    } else {
      diary.phase = Phase::post;
      post_numbered(port, number);
    }
    diary.done = number + 1;
  }
}

// So many packets unread fit the socket.
int send_without_end(MessagePort& port, Diary& diary) {
  send_until_killed(port, diary, 100 * kPeriod);
  for (;;) ::pause();
}

int send_and_close(MessagePort& port, Diary& diary) {
  send_until_killed(port, diary, kPeriod / 2 + 2);
  port.close();
  return 0;
}

std::string read_all(MessagePort& port, const Diary& diary, bool tail) {
  Complaint complaint;
  std::uint64_t next = 0;
  bool tail_seen = false;
  for (;;) {
    Received received = next_of(port);
    if (!received) {
      complaint.require(received.status() == ReceiveStatus::closed, "no end", next);
      break;
    }
    const std::uint64_t number = number_of(*received);
    complaint.require(!tail_seen && !received->redelivered(), "a message behind the tail, or marked", number);
    tail_seen = number == kTail;
    complaint.require(whole(*received), "a torn message", number);
    if (!tail_seen) complaint.require(number == next++, "a message lost, twice or out of order", number);
    if (!tail_seen && number % kPeriod == 1) {
      complaint.require(received->ports().size() == 1, "a port lost", number);
      if (!complaint.text().empty()) break;
      check_carried(received->ports()[0], number, complaint);
    }
  }
  complaint.require(tail_seen == tail, "the successor's message", next);
  complaint.require(next >= diary.done && next <= diary.done + 1, "a committed message lost", next);
  return complaint.text();
}

// ---- a receiver that is killed; its successor goes on where it was

constexpr std::uint64_t kToReceive = 16;  // one port and one large message among eight

int receive_until_killed(MessagePort& port, Diary& diary) {
  for (;;) {
    diary.phase = Phase::receive;
    Received received = port.receive();
    const std::uint64_t number = number_of(*received);
    PORTOLAN_CHILD_REQUIRE(number == diary.seen.load());
    diary.seen = number + 1;
    PORTOLAN_CHILD_REQUIRE(whole(*received));  // and it is in hand meanwhile
    for (MessagePort& carried : received->ports()) {
      diary.phase = Phase::adopt;
      PORTOLAN_CHILD_REQUIRE(number_of(*carried.receive()) == number);
    }
    diary.letting_go = number + 1;
    received = Received();
    diary.done = number + 1;
  }
}

std::string go_on_reading(MessagePort& port, const Diary& diary, std::uint64_t posted) {
  Complaint complaint;
  std::uint64_t next = diary.done;
  for (bool first = true;; first = false) {
    Received received = port.try_receive();
    if (!received) break;
    const std::uint64_t number = number_of(*received);
    // Let go of, and killed before it said so.
    if (first && diary.letting_go > diary.done && number == next + 1) ++next;
    complaint.require(number == next++, "a message lost, twice or out of order", number);
    complaint.require(received->redelivered() || number >= diary.seen, "a message twice, unmarked", number);
    complaint.require(first || !received->redelivered(), "a later message marked", number);
    complaint.require(whole(*received), "a torn message", number);
    if (number % 8 != 0) continue;
    complaint.require(received->ports().size() == 1, "a port lost", number);
    if (!complaint.text().empty()) break;
    if (!received->redelivered()) check_carried(received->ports()[0], number, complaint);
  }
  if (next + 1 == posted && diary.letting_go == posted) ++next;  // the last one was let go of likewise
  complaint.require(next == posted, "the end lost", next);
  return complaint.text();
}

// ---- a middleman that is killed; each port but the one in its hands arrives, and that one closes

constexpr std::uint64_t kToPassOn = 4;

int pass_on_until_killed(Ports& ports, Diary& diary) {
  for (;;) {
    diary.phase = Phase::receive;
    Received received = ports[0].receive();
    const std::uint64_t number = number_of(*received);
    if (number % 2 == 0) {
      diary.phase = Phase::adopt;
      post_numbered(received->ports()[0], number);
    }
    diary.phase = Phase::transfer;
    ports[1].post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {received->ports()[0]}});
    diary.done = number + 1;
  }
}

void pass_on_rest(MessagePort& in, MessagePort& out) {
  while (Received received = in.try_receive()) {
    const std::uint64_t number = number_of(*received);
    MessagePort& port = received->ports()[0];
    if (port.is_open()) out.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {port}});
  }
}

std::string read_arrivals(MessagePort& port, std::vector<MessagePort>& peers, Ports& arrivals,
                          const Diary& diary) {
  Complaint complaint;
  arrivals.resize(peers.size());
  std::vector<bool> arrived(peers.size(), false);
  std::uint64_t least = 0;
  while (Received received = next_of(port)) {
    const std::uint64_t number = number_of(*received);
    complaint.require(number >= least && number < peers.size(), "a port twice or out of order", number);
    complaint.require(received->ports().size() == 1, "a port lost", number);
    if (!complaint.text().empty()) return complaint.text();
    least = number + 1;
    arrived[number] = true;
    check_carried(received->ports()[0], number, complaint);
    received->ports()[0].post_message("arrived");
    arrivals[number] = std::move(received->ports()[0]);
  }
  for (std::uint64_t number = 0; number < peers.size(); ++number) {
    complaint.require(arrived[number] || number == diary.done, "a port lost that was in nobody's hands",
                      number);
    Received received = next_of(peers[number]);
    const bool used = received && received->bytes().size() == sizeof number;
    if (used) received = next_of(peers[number]);
    complaint.require(arrived[number] == static_cast<bool>(received), "a port's last words", number);
    if (!arrived[number])
      complaint.require(close_reasons(peers[number]) == std::vector{CloseReason::peer_died}, "its end",
                        number);
  }
  return complaint.text();
}

struct Ends {
  MessagePort stays, goes;
};

struct KillRun {
  SharedPage<Diary> diary;
  bool traced = false;
  std::uint64_t to_receive = kToReceive, to_pass_on = kToPassOn;
  std::function<void(Ward&)> strike;
  // Both ends are here again, and nothing is in them: they go round the next time, with new owners once more.
  std::vector<Ends> returned;

  Ends to_hand_on() {
    if (returned.empty()) {
      MessageChannel fresh;
      return {std::move(fresh.port1), std::move(fresh.port2)};
    }
    Ends ends = std::move(returned.back());
    returned.pop_back();
    return ends;
  }

  void begin_round() {
    diary->phase = Phase::not_begun;
    diary->seen = diary->letting_go = diary->done = 0;
  }

  Ward start(Ports ports, const std::function<int(Ports&)>& body) {
    return Ward(std::move(ports), body, [this] {
      diary->phase = Phase::adopt;
      if (traced) stop_for_tracer();
    });
  }

  void kill_sender(bool recover, int (*send)(MessagePort&, Diary&)) {
    begin_round();
    MessageChannel data;
    bool closed = false;
    // Used before it moves, so that the writer's place is stored, and soon behind what the child has posted.
    post_numbered(data.port1, 0);
    diary->done = 1;
    Ward ward = start(ports_of(std::move(data.port1)), [&](Ports& ports) { return send(ports[0], *diary); });
    strike(ward);
    if (recover) {
      MessagePort successor = ward.recover(0);
      closed = !successor.is_open();
      post_numbered(successor, kTail);
    } else {
      ward.custody(0) = {};
    }
    CHECK(read_all(data.port2, *diary, recover && !closed) == "");
    CHECK(close_reasons(data.port2) == std::vector{recover ? CloseReason::closed : CloseReason::peer_died});
  }

  void kill_receiver(bool successor_closes) {
    begin_round();
    MessageChannel data;
    for (std::uint64_t number = 0; number < to_receive; ++number) {
      MessageChannel carried;
      if (number % 8 == 0) {
        post_numbered(carried.port1, number);
        data.port1.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {carried.port2}});
      } else if (number % 8 == 4) {
        post_large_numbered(data.port1, number);
      } else {
        post_numbered(data.port1, number);
      }
    }
    Ward ward = start(ports_of(std::move(data.port2)),
                      [&](Ports& ports) { return receive_until_killed(ports[0], *diary); });
    strike(ward);
    MessagePort successor = ward.recover(0);
    CHECK(go_on_reading(successor, *diary, to_receive) == "");
    (successor_closes ? successor : data.port1).close();
    MessagePort& told = successor_closes ? data.port1 : successor;
    CHECK(next_of(told).status() == ReceiveStatus::closed);
    CHECK(close_reasons(told) == std::vector{CloseReason::closed});
  }

  void kill_middleman() {
    begin_round();
    MessageChannel in, out;
    std::vector<MessagePort> peers;
    for (std::uint64_t number = 0; number < to_pass_on; ++number) {
      Ends carried = to_hand_on();
      post_numbered(carried.stays, number);
      in.port1.post_message(std::as_bytes(std::span(&number, 1)), {.transfer = {carried.goes}});
      peers.push_back(std::move(carried.stays));
    }
    Ward ward = start(ports_of(std::move(in.port2), std::move(out.port1)),
                      [&](Ports& ports) { return pass_on_until_killed(ports, *diary); });
    strike(ward);
    {
      MessagePort successor_in = ward.recover(0), successor_out = ward.recover(1);
      pass_on_rest(successor_in, successor_out);
    }
    Ports arrivals;
    CHECK(read_arrivals(out.port2, peers, arrivals, *diary) == "");
    CHECK(close_reasons(out.port2) == std::vector{CloseReason::closed});
    for (std::size_t number = 0; number < arrivals.size(); ++number) {
      if (arrivals[number].is_open())
        returned.push_back({std::move(peers[number]), std::move(arrivals[number])});
    }
  }
};

// How long a child takes until it has done so much, however slow the machine is: a kill may come at any
// moment of it.
class Moments {
 public:
  explicit Moments(KillRun& run) {
    kill_at(run, sender_, kPeriod, [&] { run.kill_sender(true, send_without_end); });
    kill_at(run, receiver_, kToReceive, [&] { run.kill_receiver(true); });
    kill_at(run, middleman_, kToPassOn, [&] { run.kill_middleman(); });
  }
  [[nodiscard]] unsigned sender() const { return sender_; }
  [[nodiscard]] unsigned receiver() const { return receiver_; }
  [[nodiscard]] unsigned middleman() const { return middleman_; }

 private:
  static void kill_at(KillRun& run, unsigned& most_microseconds, std::uint64_t done,
                      const std::function<void()>& kill) {
    using namespace std::chrono;
    constexpr int kTries = 5;  // the shortest of them: another program may have been in between
    most_microseconds = 5'000;
    run.strike = [&](Ward& ward) {
      while (run.diary->phase.load() == Phase::not_begun) std::this_thread::yield();
      const auto began = steady_clock::now();
      while (run.diary->done < done && steady_clock::now() - began < kPatience) std::this_thread::yield();
      CHECK(run.diary->done >= done);
      const auto took = duration_cast<microseconds>(steady_clock::now() - began).count();
      most_microseconds = std::clamp(static_cast<unsigned>(took), 200U, most_microseconds);
      ward.process().kill_and_reap();
    };
    for (int i = 0; i < kTries; ++i) kill();
  }

  unsigned sender_ = 0, receiver_ = 0, middleman_ = 0;
};

}  // namespace

TEST_CASE("a thousand kills each of sender, receiver and middleman lose nothing and repeat nothing unmarked" *
          doctest::timeout(3600)) {
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  Killer killer(seed);
  KillRun run;
  const Moments moments(run);
  unsigned longest = 0;
  run.strike = [&](Ward& ward) { killer.kill(ward, *run.diary, longest); };
  const PortCensus census;
  for (std::uint64_t round = 0; round < rounds(); ++round) {
    CAPTURE(round);
    longest = moments.sender();
    run.kill_sender(round % 2 == 0, send_without_end);
    longest = moments.receiver();
    run.kill_receiver(round % 2 == 0);
    longest = moments.middleman();
    run.kill_middleman();
  }
  run.returned.clear();
  killer.report();
  for (std::size_t phase = 0; phase < kPhases; ++phase)
    CHECK(killer.kills(static_cast<Phase>(phase)) * 100 >= rounds());
}

TEST_CASE("a kill at any edge of a system call loses nothing and repeats nothing unmarked" *
          doctest::timeout(400)) {
  KillRun run;
  run.traced = true;
  run.to_receive = 48;  // more edges than are come to: an idle one waits for each of its own
  run.to_pass_on = 8;
  unsigned edge = 0;
  bool reached = true;
  run.strike = [&](Ward& ward) {
    reached = run_to_edge(ward.process().pid(), edge);
    ward.process().kill_and_reap();
  };
  const PortCensus census;
  // From the adoption to the end of the close.
  while (reached) {
    CAPTURE(edge);
    run.kill_sender(true, send_and_close);
    ++edge;
  }
  CHECK(edge > 80);
  constexpr unsigned kEdges = 200;  // the adoption, and some messages with ports
  for (edge = 0; edge < kEdges; ++edge) {
    CAPTURE(edge);
    run.kill_receiver(edge % 2 == 0);
    run.kill_middleman();
  }
  run.returned.clear();
}
