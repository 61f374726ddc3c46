// SPDX-License-Identifier: Apache-2.0

// Ports that their own listeners close, move and destroy, while other threads post on their peers and close
// those.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <doctest/doctest.h>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "ring/random_seed.hpp"
#include "support/condition.hpp"
#include "support/resource_census.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr std::size_t kStations = 3;
constexpr int kTravellers = 300;
constexpr int kPostsToEach = 40;

// A thread with a loop that gets ports from the station before it, and does anything to them in their
// listeners.
class Station {
 public:
  Station(MessagePort in, MessagePort out, std::uint64_t seed)
      : in_(std::move(in)), out_(std::move(out)), dice_(seed), thread_([this] { run(); }) {}

  void end() {
    REQUIRE(wait_until([&] { return loop_.load() != nullptr; }));
    loop_.load()->post([this] {
      EventLoop::current().clear(going_);
      guests_.clear();
      in_ = {};
      out_ = {};
    });
    thread_.join();
  }
  std::uint64_t handled() const { return handled_.load(); }

 private:
  void run() {
    in_.on_message([this](MessageEvent& event) {
      for (MessagePort& port : event.ports()) welcome(std::move(port));
    });
    // Its loop goes on when the station before it has ended, and with it the way here.
    going_ = EventLoop::current().set_interval(std::chrono::hours(1), [] {});
    loop_.store(&EventLoop::current());
    EventLoop::current().run();
  }

  void welcome(MessagePort port) {
    guests_.push_back(std::move(port));
    const auto guest = std::prev(guests_.end());
    guest->on_close([this, guest](CloseEvent&) { guests_.erase(guest); });
    guest->on_message([this, guest](MessageEvent& event) { serve(guest, event); });
  }

  // Whatever a listener may do to its own port.
  void serve(std::list<MessagePort>::iterator guest, MessageEvent& event) {
    ++handled_;
    const std::size_t size_bytes = event.bytes().size();
    switch (dice_.roll(0, 9)) {
      case 0:
        guest->close();
        break;
      case 1:
        guests_.erase(guest);  // this very listener with it: nothing of it may be touched from here on
        return;
      case 2: {
        MessagePort moved = std::move(*guest);  // no transfer: its listeners come along
        *guest = std::move(moved);
        break;
      }
      case 3:
      case 4:
        if (pass_on(*guest)) {
          CHECK(event.bytes().size() == size_bytes);
          guests_.erase(guest);
        }
        return;
      case 5: {
        const ListenerId id = guest->add_event_listener("message", [](Event&) {}, {.once = true});
        if (dice_.one_in(2)) guest->remove_event_listener(id);
        break;
      }
      default:
        static_cast<void>(guest->try_post_message("answer"));
    }
  }

  // One that has closed itself goes nowhere, although it still delivers what was queued.
  bool pass_on(MessagePort& guest) {
    try {
      return out_.try_post_message("on", {.transfer = {guest}}) == PostResult::posted;
    } catch (const DataCloneError&) {
      CHECK_FALSE(guest.is_open());
      return false;
    }
  }

  MessagePort in_, out_;
  Dice dice_;
  std::list<MessagePort> guests_;
  TimerId going_ = TimerId::none;
  std::atomic<EventLoop*> loop_{nullptr};
  std::atomic<std::uint64_t> handled_{0};
  std::thread thread_;  // last: it uses the others
};

}  // namespace

TEST_CASE(
    "ports that are closed, moved and destroyed in their listeners and by other threads leave nothing") {
  Dice dice(random_seed());
  const ResourceCensus census;
  std::array<MessageChannel, kStations> ways;
  MessageChannel entry;
  std::list<Station> stations;
  for (std::size_t i = 0; i < kStations; ++i)
    stations.emplace_back(i == 0 ? std::move(entry.port2) : std::move(ways[i - 1].port2),
                          std::move(ways[i].port1), dice.word());

  std::vector<MessagePort> peers(kTravellers);
  std::atomic<int> sent{0};
  std::atomic<bool> over{false};
  std::thread closer([&, seed = dice.word()] {
    Dice own(seed);
    while (!over.load()) {
      const int there = sent.load();
      if (there != 0 && own.one_in(16)) peers[own.roll(0, static_cast<std::uint64_t>(there) - 1)].close();
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < kTravellers; ++i) {
    MessageChannel channel;
    for (int ahead = 0; ahead < 5; ++ahead) channel.port1.post_message("ahead");
    peers[static_cast<std::size_t>(i)] = std::move(channel.port1);
    sent.store(i + 1);
    // The first station may be slow to get a turn, and a socket holds only so many ports.
    const PostResult posted =
        entry.port1.post_message_for(std::chrono::minutes(1), "a port", {.transfer = {channel.port2}});
    CHECK(posted == PostResult::posted);
    for (int n = 0; n < kPostsToEach; ++n)
      static_cast<void>(peers[dice.roll(0, static_cast<std::uint64_t>(i))].try_post_message("work"));
  }
  over.store(true);
  closer.join();
  std::uint64_t handled = 0;
  for (Station& station : stations) {
    station.end();
    handled += station.handled();
  }
  CHECK(handled > kTravellers);
  peers.clear();
}
