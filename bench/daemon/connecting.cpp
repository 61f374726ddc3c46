// SPDX-License-Identifier: Apache-2.0

#include "daemon/connecting.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <unistd.h>

#include <portolan/port.hpp>

#include "daemon/daemon_process.hpp"
#include "daemon/questions.hpp"

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kConnects = 10'000;
constexpr std::size_t kWarmUp = 200;
constexpr int kPrograms = 4;
constexpr std::chrono::seconds kRateTime{5};

}  // namespace

int accept_all() {
  portolan::Listener listener(kServiceName);
  for (;;) static_cast<void>(listener.accept());
}

std::vector<double> time_connects(std::size_t count) {
  std::vector<double> times;
  for (std::size_t i = 0; i < count + kWarmUp; ++i) {
    const auto begin = Clock::now();
    portolan::MessagePort port = portolan::connect(kServiceName);
    const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
    if (i >= kWarmUp) times.push_back(time.count());
  }
  return times;
}

Quantiles quantiles_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

void ask_for_connects(const std::string& daemon, Figures& figures) {
  DaemonProcess broker(daemon, {});
  const pid_t service = start_process(accept_all);
  const Quantiles quantiles = quantiles_of(time_connects(kConnects));
  figures.push_back({"connect, median", quantiles.median, "us"});
  figures.push_back({"connect, p99", quantiles.p99, "us"});
  auto& connects = shared_value<std::atomic<std::uint64_t>>();
  auto& ends = shared_value<std::atomic<bool>>();
  std::vector<pid_t> programs;
  programs.reserve(kPrograms);
  for (int i = 0; i < kPrograms; ++i)
    programs.push_back(start_process([&] {
      while (!ends) {
        static_cast<void>(portolan::connect(kServiceName));
        ++connects;
      }
      return 0;
    }));
  const double cpu = broker.cpu_seconds();
  const auto begin = Clock::now();
  const std::uint64_t before = connects;
  ::usleep(std::chrono::duration_cast<std::chrono::microseconds>(kRateTime).count());
  const double made = static_cast<double>(connects - before);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  figures.push_back({"connects of 4 programs", made / seconds, "/s"});
  figures.push_back(
      {"the daemon's part of a processor then", (broker.cpu_seconds() - cpu) / seconds * 100, "%"});
  ends = true;
  for (const pid_t each : programs) wait_for(each);
  kill_process(service);
}

}  // namespace bench
