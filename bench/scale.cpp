// SPDX-License-Identifier: Apache-2.0

// Many ports in one loop: what the idle ones cost, and whether a flooding one keeps the others waiting.

#include <algorithm>
#include <array>
#include <chrono>
#include <fmt/format.h>
#include <future>
#include <stdexcept>
#include <sys/resource.h>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

using Payload = std::array<std::byte, 64>;
constexpr std::size_t kFew = 10, kMany = 10'000;

// A port is two descriptors; some more are the loop's and the measurement's.
std::size_t most_ports() {
  constexpr std::size_t kOthers = 200;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 2 * kFew + kOthers)
    throw std::runtime_error("scale: raise the hard limit of open files, ulimit -Hn");
  return std::min<std::size_t>(kMany, (limit.rlim_cur - kOthers) / 2);
}

// Ports that wait in this thread's loop, both ends of each channel.
class IdlePorts {
 public:
  explicit IdlePorts(std::size_t count) {
    while (2 * channels_.size() < count) {
      portolan::MessageChannel& channel = channels_.emplace_back();
      channel.port1.on_message([] {});
      channel.port2.on_message([] {});
    }
    portolan::EventLoop::current().run_for(std::chrono::milliseconds(50));  // they fall asleep
  }

 private:
  std::vector<portolan::MessageChannel> channels_;
};

// In a thread of its own, whose loop knows of nothing else and ends with it.
double in_own_loop(const std::function<double()>& measure) {
  return std::async(std::launch::async, measure).get();
}

double idle_cpu_ms(std::size_t ports) {
  const IdlePorts idle(ports);
  const auto cpu_ns = [] {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  };
  const std::int64_t before_ns = cpu_ns();
  portolan::EventLoop::current().run_for(std::chrono::seconds(10));
  return static_cast<double>(cpu_ns() - before_ns) / 1e6;
}

// One port of a loop with idle ones, and a partner that echoes; with `asleep`, the loop goes to sleep
// between messages.
double trip_ns(std::size_t ports, bool asleep) {
  const int trips = asleep ? 10'000 : 100'000;
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    for (const Payload payload{};;) {
      const portolan::Received ping = port.try_receive();
      if (ping.status() == portolan::ReceiveStatus::closed) return;
      if (ping) port.post_message(payload);
    }
  });
  handle = {};
  const IdlePorts idle(ports);
  portolan::EventLoop& loop = portolan::EventLoop::current();
  loop.set_busy_poll(asleep ? std::chrono::hours(0) : std::chrono::hours(1));
  int left = trips;
  const Payload payload{};
  channel.port1.on_message([&] {
    if (--left != 0) return channel.port1.post_message(payload);
    loop.stop();
  });
  const std::int64_t began_ns = now_ns();
  channel.port1.post_message(payload);
  loop.run();
  const double took_ns = static_cast<double>(now_ns() - began_ns);
  channel.port1.close();
  return took_ns / trips;
}

// From the post on a quiet port to its listener, while the same partner floods another port, or only looks
// on.
double quiet_p99_ns(bool flooding) {
  constexpr int kMessages = 20'000;
  constexpr std::int64_t kBetweenNs = 50'000;
  portolan::MessageChannel flood, quiet;
  portolan::PortHandle flood_handle = std::move(flood.port2).release();
  portolan::PortHandle quiet_handle = std::move(quiet.port2).release();
  const Partner partner([&] {
    portolan::MessagePort flooded = portolan::MessagePort::adopt(std::move(flood_handle));
    portolan::MessagePort calm = portolan::MessagePort::adopt(std::move(quiet_handle));
    const Payload payload{};
    std::int64_t next_ns = now_ns();
    for (int sent = 0; sent < kMessages;) {
      if (flooding) static_cast<void>(flooded.try_post_message(payload));
      if (now_ns() < next_ns) continue;
      calm.post_message(now_ns());
      ++sent;
      next_ns = now_ns() + kBetweenNs;
    }
  });
  flood_handle = {};
  quiet_handle = {};
  portolan::EventLoop& loop = portolan::EventLoop::current();
  std::vector<std::int64_t> samples;
  samples.reserve(kMessages);
  flood.port1.on_message([](portolan::MessageEvent&) {});
  quiet.port1.on_message<std::int64_t>(
      [&](std::int64_t posted_ns) { samples.push_back(now_ns() - posted_ns); });
  quiet.port1.on_close([&] { loop.stop(); });
  loop.run();
  flood.port1.close();
  const auto place = samples.begin() + static_cast<std::ptrdiff_t>(samples.size()) * 99 / 100;
  std::nth_element(samples.begin(), place, samples.end());
  return static_cast<double>(*place);
}

// What is there already, in batches: posting is not counted.
double taking_ns(bool by_listener) {
  constexpr int kRounds = 2'000, kBatch = 64;
  portolan::MessageChannel channel;
  portolan::EventLoop& loop = portolan::EventLoop::current();
  const Payload payload{};
  int taken = 0;
  std::int64_t took_ns = 0;
  if (by_listener) channel.port2.on_message([&](portolan::MessageEvent&) { ++taken; });
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kBatch; ++i) channel.port1.post_message(payload);
    const std::int64_t began_ns = now_ns();
    if (by_listener)
      while (taken < (round + 1) * kBatch) static_cast<void>(loop.poll());
    else
      while (channel.port2.try_receive()) ++taken;
    took_ns += now_ns() - began_ns;
  }
  if (taken != kRounds * kBatch) throw std::runtime_error("scale: messages are missing");
  return static_cast<double>(took_ns) / taken;
}

}  // namespace

void measure_scale(Report& report) {
  const std::size_t many = most_ports();
  report.section("Many ports in one loop");
  report.fact(fmt::format("CPU time of 10 s with {} idle ports", many), "ms",
              [&] { return in_own_loop([&] { return idle_cpu_ms(many); }); });
  for (const bool asleep : {false, true})
    for (const std::size_t ports : {kFew, many})
      report.row(
          fmt::format("round trip in a loop that {}, {} idle ports", asleep ? "sleeps" : "looks on", ports),
          "ns", [&] { return in_own_loop([&] { return trip_ns(ports, asleep); }); });
  for (const bool flooding : {false, true})
    report.row(flooding ? "a quiet port beside a flooding one, p99" : "a quiet port beside idle ones, p99",
               "ns", [&] { return in_own_loop([&] { return quiet_p99_ns(flooding); }); });
  report.row("try_receive of what is there", "ns",
             [] { return in_own_loop([] { return taking_ns(false); }); });
  report.row("on_message of what is there", "ns", [] { return in_own_loop([] { return taking_ns(true); }); });
}

}  // namespace bench
