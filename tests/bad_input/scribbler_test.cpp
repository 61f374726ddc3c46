// SPDX-License-Identifier: Apache-2.0

// A peer's process that stores anything anywhere in the segment and punches holes into it, while this one
// reads, posts, moves, waits for and inspects the port. Unmapped pages stand around every shared mapping
// (guarded_mapping.cpp). PORTOLAN_SCRIBBLE_SECONDS says for how long; the rounds follow from --seed=N.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "bad_input/hostile_peer.hpp"
#include "inspect/control_snapshot.hpp"
#include "inspect/recorder.hpp"
#include "port/hand_over.hpp"
#include "ring/random_seed.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kLimitBytes = 64 << 10;

struct Count {
  std::atomic<std::uint64_t> stores{0};
  std::atomic<std::uint64_t> holes{0};
  std::atomic<std::uint64_t> posted{0};
};

// Where a round's stores go.
enum class Aim { anywhere, control_page, blocks, holes, headers, kCount };

class Scribbler {
 public:
  Scribbler(HostilePeer& peer, Aim aim, std::uint64_t seed, Count& count)
      : peer_(peer),
        aim_(aim),
        dice_(seed),
        count_(count),
        geometry_{peer.page().header.block_bytes, peer.page().header.block_count},
        begin_(reinterpret_cast<std::byte*>(&peer.page())) {}

  [[noreturn]] void run() {
    for (;;) {
      if (dice_.one_in(4)) post();
      for (std::uint64_t stores = dice_.roll(0, 30); stores != 0; --stores) scribble();
      if (dice_.one_in(aim_ == Aim::holes ? 4 : 200)) punch();
      if (dice_.one_in(8)) static_cast<void>(peer_.send(std::array{std::byte{1}}, {}));
    }
  }

 private:
  void post() {
    const std::vector<std::byte> bytes(dice_.roll(0, dice_.one_in(10) ? 9000 : 200));
    const auto size = static_cast<std::uint32_t>(bytes.size());
    if (peer_.publish(ring::FrameHeader::message(size, 1, dice_.one_in(8), dice_.one_in(20)), bytes))
      count_.posted.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t place() {
    constexpr std::uint64_t kExtent = offsetof(ring::DirectionLines, first_extent);
    switch (aim_) {
      case Aim::control_page:
        return dice_.roll(0, ring::kControlBytes - 8);
      case Aim::blocks:
        return dice_.roll(ring::kControlBytes, geometry_.segment_bytes() - 8);
      case Aim::headers:
        return offsetof(ring::ControlPage, direction) + dice_.roll(0, 1) * sizeof(ring::DirectionLines) +
               kExtent + dice_.roll(3, 40) * 8;
      default:
        return dice_.one_in(2) ? dice_.roll(0, ring::kControlBytes - 8)
                               : dice_.roll(0, geometry_.segment_bytes() - 8);
    }
  }
  std::uint64_t word() {
    const ring::Run run{static_cast<std::uint16_t>(dice_.roll(0, 18)),
                        static_cast<std::uint16_t>(dice_.roll(0, 3))};
    switch (dice_.roll(0, 5)) {
      case 0:
        return ring::FrameHeader::message(static_cast<std::uint32_t>(dice_.roll(0, 5000)), 1, dice_.one_in(3),
                                          dice_.one_in(5))
            .word();
      case 1:
        return ring::FrameHeader::jump(run).word();
      case 2:
        return ring::Location(run, dice_.roll(0, 600) * 8).word();
      case 3:
        return dice_.roll(0, 64);
      case 4:
        return 0;
      default:
        return dice_.word();
    }
  }
  void scribble() {
    if (aim_ == Aim::holes) return;
    const std::uint64_t at = dice_.one_in(10) ? place() : place() / 8 * 8;
    const std::uint64_t value = word();
    std::memcpy(begin_ + at, &value, dice_.one_in(4) ? 4 : 8);
    count_.stores.fetch_add(1, std::memory_order_relaxed);
  }
  void punch() {
    const std::uint64_t pages = geometry_.segment_bytes() / 4096, first = dice_.roll(0, pages - 1);
    if (::madvise(begin_ + first * 4096, dice_.roll(1, pages - first) * 4096, MADV_REMOVE) == 0)
      count_.holes.fetch_add(1, std::memory_order_relaxed);
  }

  HostilePeer& peer_;
  Aim aim_;
  Dice dice_;
  Count& count_;
  ring::Geometry geometry_;
  std::byte* begin_;
};

// What a program does with a port, of which each may be refused at any time.
class Victim {
 public:
  Victim(MessagePort port, FileDescriptor segment, std::uint64_t seed)
      : port_(std::move(port)), segment_(std::move(segment)), dice_(seed) {}

  // False: the port has come to its end.
  bool step() {
    ++operations_;
    try {
      return go_on();
    } catch (const std::exception&) {
      ++refused_;
      return port_.is_open();
    }
  }
  std::uint64_t operations() const { return operations_; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t received() const { return received_; }

 private:
  bool go_on() {
    switch (dice_.roll(0, 12)) {
      case 0:
        return post(dice_.roll(0, 20'000));
      case 1:
      case 2:
        return post(dice_.roll(0, 200));
      case 3:
        return post_port();
      case 4:
        return wait();
      case 5:
        if (!dice_.one_in(8)) return true;
        port_ = MessagePort::adopt(std::move(port_).release());
        return true;
      case 6:
        look();
        return true;
      case 7:
        return serve();
      default:
        return receive();
    }
  }
  bool post(std::size_t bytes) {
    const std::vector<std::byte> content(bytes, std::byte{0x5a});
    return port_.try_post_message(std::span(content)) != PostResult::closed;
  }
  bool post_port() {
    MessageChannel sent({.limit_bytes = kLimitBytes});
    return port_.try_post_message("a port", {.transfer = {sent.port1}}) != PostResult::closed;
  }
  bool receive() {
    Received received = port_.try_receive();
    if (received) use(*received);
    return received.status() != ReceiveStatus::closed;
  }
  bool wait() {
    Received received = port_.receive_for(1ms);
    if (received) use(*received);
    return received.status() != ReceiveStatus::closed;
  }
  bool serve() {
    port_.on_message([this](MessageEvent& event) { use(event); });
    port_.on_close([this](CloseEvent&) { closed_ = true; });
    EventLoop::current().poll();
    port_.on_message(nullptr);
    port_.on_close(nullptr);
    return !closed_;
  }
  // Every byte is read, wherever it lies.
  void use(const MessageEvent& event) {
    ++received_;
    for (const std::byte each : event.bytes()) sum_ += std::to_integer<std::uint64_t>(each);
  }
  void look() const {
    std::array<std::byte, ring::kControlBytes> page;
    if (::pread(segment_.get(), page.data(), page.size(), 0) != ring::kControlBytes) return;
    const auto size = static_cast<std::uint64_t>(::lseek(segment_.get(), 0, SEEK_END));
    inspect::ControlSnapshot control;
    if (!inspect::read_control(page, size, control).empty()) return;
    for (const ring::Side writer : {ring::Side::a, ring::Side::b})
      HOLDS(inspect::record(segment_, control, writer, {}).messages.size() <=
            inspect::RecordingLimits{}.messages);
  }

  MessagePort port_;
  FileDescriptor segment_;
  Dice dice_;
  bool closed_ = false;
  std::uint64_t operations_ = 0, refused_ = 0, received_ = 0, sum_ = 0;
};

}  // namespace

TEST_CASE("a peer that scribbles over the segment and punches holes ends that channel at the most") {
  const char* const longer = std::getenv("PORTOLAN_SCRIBBLE_SECONDS");
  const auto duration = std::chrono::seconds(longer != nullptr ? std::atoi(longer) : 2);
  const std::uint64_t seed = random_seed();
  SharedPage<Count> count;
  std::uint64_t operations = 0, refused = 0, received = 0, rounds = 0;
  {
    const PortCensus census;
    MessageChannel bystander;
    const auto end = std::chrono::steady_clock::now() + duration;
    for (; std::chrono::steady_clock::now() < end; ++rounds) {
      MessageChannel channel(
          {.limit_bytes = kLimitBytes, .trust = rounds % 2 == 0 ? Trust::same_user : Trust::foreign});
      const auto aim = static_cast<Aim>(rounds % static_cast<std::uint64_t>(Aim::kCount));
      PortHandle copy = channel.port1.custody_handle();
      Victim victim(std::move(channel.port1), std::move(copy.segment()), seed + rounds);
      HostilePeer peer(std::move(channel.port2));
      ChildProcess child =
          ChildProcess::fork([&]() -> int { Scribbler(peer, aim, seed - rounds, *count).run(); });
      while (victim.operations() < 2000 && victim.step()) {
      }
      child.kill_and_reap();
      operations += victim.operations();
      refused += victim.refused();
      received += victim.received();
      bystander.port1.post_message(rounds);
      REQUIRE(bystander.port2.receive()->data<std::uint64_t>() == rounds);
    }
  }
  MESSAGE("--seed=" << seed << ": " << rounds << " channels, " << count->stores.load() << " stores and "
                    << count->holes.load() << " holes in them, " << count->posted.load()
                    << " messages of their own; " << operations << " calls, " << refused << " refused, "
                    << received << " messages received");
}
