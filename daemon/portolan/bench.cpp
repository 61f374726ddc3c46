// SPDX-License-Identifier: Apache-2.0

// bench: what messages cost on this machine, between two processes; a few seconds, and no comparison with
// anything. ./dev bench of the source tree has both.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fmt/core.h>
#include <string>
#include <thread>
#include <vector>

#include <portolan/portolan.hpp>

#include "exit_code.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

using Clock = std::chrono::steady_clock;
using portolan::MessagePort;

constexpr std::size_t kBatch = 64;              // messages between two looks at the clock
constexpr std::uint64_t kMostUnread = 8 << 20;  // bytes: beyond, it would measure fresh memory
constexpr std::chrono::milliseconds kNap{2};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct RoundTrips {
  double median_us = 0;
  double p99_us = 0;
};

RoundTrips round_trips(MessagePort& port, double seconds, bool asleep) {
  std::vector<double> times;
  for (const auto begin = Clock::now(); times.size() < 16 || seconds_since(begin) < seconds;) {
    if (asleep) std::this_thread::sleep_for(kNap);  // meanwhile its partner sleeps, too
    const auto posted = Clock::now();
    port.post_message("ping");
    if (!port.receive()) throw std::runtime_error("bench: the other process has ended");
    times.push_back(seconds_since(posted) * 1e6);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

double messages_a_second(MessagePort& port, std::size_t bytes, double seconds) {
  const std::vector<std::byte> message(bytes);
  const auto begin = Clock::now();
  std::uint64_t posted = 0;
  while (posted == 0 || seconds_since(begin) < seconds) {
    for (std::size_t i = 0; i < kBatch; ++i) port.post_message(message);
    posted += kBatch;
    while (port.buffered_amount().bytes > kMostUnread) std::this_thread::yield();
  }
  port.post_message("ping");  // answered once all of it was read
  if (!port.receive()) throw std::runtime_error("bench: the other process has ended");
  return static_cast<double>(posted) / seconds_since(begin);
}

double moves_a_second(MessagePort& port, double seconds) {
  portolan::MessageChannel channel;
  MessagePort moving = std::move(channel.port2);
  const auto begin = Clock::now();
  std::uint64_t moved = 0;
  for (; moved == 0 || seconds_since(begin) < seconds; moved += 2) {
    port.post_message("back", {.transfer = {moving}});
    portolan::Received back = port.receive();
    if (!back || back->ports().empty()) throw std::runtime_error("bench: the other process has ended");
    moving = std::move(back->ports()[0]);
  }
  return static_cast<double>(moved) / seconds_since(begin);
}

}  // namespace

int answer_measurement() {
  MessagePort port = portolan::parent_port();
  while (portolan::Received received = port.receive()) {
    if (received->format() != portolan::Format::text) continue;
    if (received->ports().empty())
      port.post_message("pong");
    else
      port.post_message("back", {.transfer = {received->ports()[0]}});
  }
  return kFound;
}

int measure(const BenchOptions& options) {
  portolan::Worker partner("/proc/self/exe", {"bench-partner"});
  MessagePort& port = partner.port();
  port.post_message("ping");
  if (!port.receive()) throw std::runtime_error("bench: the other process has ended");
  const RoundTrips awake = round_trips(port, options.seconds, false);
  const RoundTrips asleep = round_trips(port, options.seconds, true);
  const double small = messages_a_second(port, 64, options.seconds);
  const double large = messages_a_second(port, 4096, options.seconds);
  const double moves = moves_a_second(port, options.seconds);
  port.close();
  static_cast<void>(partner.wait());
  if (options.json) {
    JsonObject json;
    const auto put = [&json](const char* name, double value) {
      json.raw(name, fmt::format("{:.3f}", value));
    };
    put("round_trip_us", awake.median_us);
    put("round_trip_p99_us", awake.p99_us);
    put("round_trip_asleep_us", asleep.median_us);
    put("round_trip_asleep_p99_us", asleep.p99_us);
    put("messages_64_per_second", small);
    put("messages_4096_per_second", large);
    put("moves_per_second", moves);
    print(json.number("processors", std::thread::hardware_concurrency()).str() + "\n");
    return kFound;
  }
  Table table({{"WHAT"}, {"MEDIAN", Table::Align::right}, {"P99", Table::Align::right}});
  table.add({"round trip, both awake", fmt::format("{:.2f} us", awake.median_us),
             fmt::format("{:.2f} us", awake.p99_us)});
  table.add({"round trip, both had slept", fmt::format("{:.1f} us", asleep.median_us),
             fmt::format("{:.1f} us", asleep.p99_us)});
  table.add({"messages of 64 bytes a second", count_text(small), ""});
  table.add({"messages of 4 KiB a second", count_text(large), ""});
  table.add({"moves of a port a second", count_text(moves), ""});
  print(table.str());
  return kFound;
}

}  // namespace command
