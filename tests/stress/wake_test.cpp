// SPDX-License-Identifier: Apache-2.0

// Two processes that talk both ways with two threads each, pause anywhere, and fall asleep all the time. A
// watchdog sees every thread that sleeps although it has something to read, or all the room there is.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "ring/random_seed.hpp"
#include "stress/sleep_watch.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

std::chrono::seconds time_of_a_case() {
  const char* const seconds = std::getenv("PORTOLAN_STRESS_SECONDS");
  return std::chrono::seconds(seconds != nullptr ? std::atoi(seconds) : 6);
}

// What one process tells of itself. A thread waits from before a call that may sleep until after it.
struct Told {
  std::atomic<pid_t> posting_thread{0}, receiving_thread{0};
  std::atomic<bool> posting_waits{false}, receiving_waits{false};
  std::atomic<std::uint64_t> posted{0}, received{0};  // once whoever waits for it has been woken
};
struct Both {
  Told end[2];
  std::atomic<bool> stop{false};
};

struct Conditions {
  std::uint64_t most_bytes = 0;
  std::uint64_t one_pause_in = 0;   // messages
  std::uint64_t longest_pause = 0;  // microseconds
  bool loop = false;                // receives with events
};

class End {
 public:
  End(MessagePort& port, Told& told, const std::atomic<bool>& stop, const Conditions& conditions,
      std::uint64_t seed)
      : port_(port), told_(told), stop_(stop), conditions_(conditions), seed_(seed) {}

  int run() {
    std::thread posting([this] { post(); });
    receive();
    posting.join();
    return 0;
  }

 private:
  void pause(Dice& dice) const {
    if (dice.one_in(conditions_.one_pause_in))
      std::this_thread::sleep_for(std::chrono::microseconds(dice.roll(0, conditions_.longest_pause)));
  }

  // The last message is empty.
  void post() {
    Dice dice(seed_);
    told_.posting_thread.store(::gettid());
    for (std::uint64_t number = 0;; ++number) {
      const bool last = stop_.load();
      const std::vector<std::byte> message(last ? 0 : dice.roll(1, conditions_.most_bytes));
      told_.posting_waits.store(true);
      PORTOLAN_CHILD_REQUIRE(port_.post_message_for(60s, message) == PostResult::posted);
      told_.posting_waits.store(false);
      told_.posted.store(number + 1);
      if (last) return;
      pause(dice);
    }
  }

  void receive() {
    Dice dice(~seed_);
    told_.receiving_thread.store(::gettid());
    if (conditions_.loop) return receive_in_loop(dice);
    for (bool last = false; !last;) {
      told_.receiving_waits.store(true);
      {
        Received received = port_.receive();
        told_.receiving_waits.store(false);
        PORTOLAN_CHILD_REQUIRE(received.status() == ReceiveStatus::message);
        last = received->bytes().empty();
      }
      ++told_.received;
      pause(dice);
    }
  }
  void receive_in_loop(Dice& dice) {
    port_.on_message([&](MessageEvent& event) {
      told_.receiving_waits.store(false);
      if (event.bytes().empty()) EventLoop::current().stop();
      ++told_.received;
      pause(dice);
      told_.receiving_waits.store(true);
    });
    EventLoop::current().run();
    told_.receiving_waits.store(false);
  }

  MessagePort& port_;
  Told& told_;
  const std::atomic<bool>& stop_;
  const Conditions& conditions_;
  std::uint64_t seed_;
};

// Empty while all is well, else who sleeps.
class SleeperWatch {
 public:
  explicit SleeperWatch(Both& told) : told_(told) {}

  std::string look() {
    for (const int end : {0, 1}) {
      Told& own = told_.end[end];
      Told& peer = told_.end[1 - end];
      const std::uint64_t received = own.received.load(), to_read = peer.posted.load();
      if (receivers_[end].look(own.receiving_thread.load(), own.receiving_waits.load() && to_read > received))
        return "end " + std::to_string(end) + " sleeps with something to read: message " +
               std::to_string(received) + " of " + std::to_string(to_read);
      const std::uint64_t posted = own.posted.load();
      if (posters_[end].look(own.posting_thread.load(),
                             own.posting_waits.load() && peer.received.load() == posted))
        return "end " + std::to_string(end) +
               " waits for room, and everything is read: " + std::to_string(posted) + " messages";
    }
    return {};
  }

 private:
  Both& told_;
  SleepWatch receivers_[2], posters_[2];
};

void run_under(const Conditions& conditions) {
  SharedPage<Both> told;
  const PortCensus census;
  const std::uint64_t seed = random_seed();
  CAPTURE(seed);
  MessageChannel channel({.limit_bytes = 64 << 10});
  std::vector<ChildProcess> children;
  MessagePort* const ports[] = {&channel.port1, &channel.port2};
  for (const std::size_t end : {0U, 1U})
    children.push_back(fork_with(ports_of(std::move(*ports[end])), [&, end](Ports& own) {
      return End(own[0], told->end[end], told->stop, conditions, seed + end).run();
    }));
  SleeperWatch watch(*told);
  std::string forgotten;
  const auto until = std::chrono::steady_clock::now() + time_of_a_case();
  while (forgotten.empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(1ms);
    forgotten = watch.look();
  }
  CHECK(forgotten == "");
  MESSAGE("messages: ", told->end[0].posted.load(), " and ", told->end[1].posted.load());
  told->stop.store(true);
  for (ChildProcess& child : children)
    CHECK((forgotten.empty() ? child.wait() == ChildExit::exited(0)
                             : child.kill_and_reap() == ChildExit::killed(SIGKILL)));
}

}  // namespace

TEST_CASE("nobody sleeps with something to read, where a message comes now and then" *
          doctest::timeout(900)) {
  run_under({.most_bytes = 100, .one_pause_in = 2, .longest_pause = 300});
}

TEST_CASE("nobody sleeps with something to read or with room, where the ring is full all the time" *
          doctest::timeout(900)) {
  run_under({.most_bytes = 12'000, .one_pause_in = 8, .longest_pause = 500});
}

TEST_CASE("nobody sleeps deeply with something to read, where sleeps are long" * doctest::timeout(900)) {
  run_under({.most_bytes = 100, .one_pause_in = 1, .longest_pause = 40'000});
}

TEST_CASE("no loop sleeps with something to read" * doctest::timeout(900)) {
  run_under({.most_bytes = 4'000, .one_pause_in = 3, .longest_pause = 400, .loop = true});
}
