// SPDX-License-Identifier: Apache-2.0

// Round trips of 64 bytes: both sides polling, and both asleep when the message comes.

#include <algorithm>
#include <array>
#include <chrono>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

constexpr std::size_t kBytes = 64;
using Payload = std::array<std::byte, kBytes>;

double percentile(std::vector<std::int64_t>& samples, double part) {
  const auto place = static_cast<std::size_t>(static_cast<double>(samples.size() - 1) * part);
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(place), samples.end());
  return static_cast<double>(samples[place]);
}

// `asleep_ns`: how long the parent leaves both sides idle before each trip; 0: both poll.
double portolan_trip_ns(int trips, std::int64_t asleep_ns, double part) {
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    const Payload payload{};
    for (;;) {
      portolan::Received ping = asleep_ns == 0 ? port.try_receive() : port.receive();
      if (ping.status() == portolan::ReceiveStatus::closed) return;
      if (ping) port.post_message(payload);
    }
  });
  handle = {};
  const Payload payload{};
  std::vector<std::int64_t> samples;
  for (int trip = 0; trip < trips + trips / 10; ++trip) {
    if (asleep_ns != 0) std::this_thread::sleep_for(std::chrono::nanoseconds(asleep_ns));
    const std::int64_t began = now_ns();
    channel.port1.post_message(payload);
    portolan::Received pong;
    do pong = asleep_ns == 0 ? channel.port1.try_receive() : channel.port1.receive();
    while (!pong);
    if (trip >= trips / 10) samples.push_back(now_ns() - began);
  }
  channel.port1.close();
  return percentile(samples, part);
}

double socketpair_trip_ns(int trips, std::int64_t asleep_ns, double part) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error("socketpair");
  std::vector<std::int64_t> samples;
  {
    const Partner partner([&] {
      close(ends[0]);
      Payload payload{};
      while (read(ends[1], payload.data(), kBytes) > 0)
        if (write(ends[1], payload.data(), kBytes) < 0) return;
    });
    close(ends[1]);
    Payload payload{};
    for (int trip = 0; trip < trips + trips / 10; ++trip) {
      if (asleep_ns != 0) std::this_thread::sleep_for(std::chrono::nanoseconds(asleep_ns));
      const std::int64_t began = now_ns();
      if (write(ends[0], payload.data(), kBytes) < 0 || read(ends[0], payload.data(), kBytes) <= 0)
        throw std::runtime_error("socketpair trip failed");
      if (trip >= trips / 10) samples.push_back(now_ns() - began);
    }
    close(ends[0]);
  }
  return percentile(samples, part);
}

}  // namespace

void measure_round_trip(Report& report) {
  constexpr int kPollingTrips = 100'000, kSleepingTrips = 300;
  constexpr std::int64_t kLightNs = 1'000'000, kDeepNs = 15'000'000;
  report.section("Round trip of 64 B");
  report.row("Portolan, both polling, p50", "ns", [] { return portolan_trip_ns(kPollingTrips, 0, 0.5); });
  report.row("Portolan, both polling, p99", "ns", [] { return portolan_trip_ns(kPollingTrips, 0, 0.99); });
  report.row("Portolan, peer asleep on the futex, p50", "ns",
             [] { return portolan_trip_ns(kSleepingTrips, kLightNs, 0.5); });
  report.row("Portolan, peer asleep on the socket, p50", "ns",
             [] { return portolan_trip_ns(kSleepingTrips / 3, kDeepNs, 0.5); });
  report.row("socketpair (seqpacket), back to back, p50", "ns",
             [] { return socketpair_trip_ns(20'000, 0, 0.5); });
  report.row("socketpair (seqpacket), peer asleep, p50", "ns",
             [] { return socketpair_trip_ns(kSleepingTrips, kLightNs, 0.5); });
}

}  // namespace bench
