// SPDX-License-Identifier: Apache-2.0

#include "peers/duo.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.hpp"

namespace bench {

namespace {

pid_t start(int processor, const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1);
  try {
    pin_to(processor);
    body();
    _exit(0);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "\n%s process: %s\n", processor == 0 ? "near" : "far", failure.what());
    _exit(1);
  }
}

// True once it has ended well.
bool ended(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, WNOHANG) != child) return false;
  if (status != 0) throw std::runtime_error("a process of the measurement failed");
  return true;
}

}  // namespace

void run_duo(Stage& stage, std::int64_t duration_ns, const std::function<void()>& near,
             const std::function<void()>& far) {
  constexpr std::int64_t kPatienceNs = 20'000'000'000, kLookNs = 500'000;
  std::array<pid_t, 2> children{start(0, near), start(1, far)};
  const std::int64_t began_ns = now_ns();
  std::int64_t stop_ns = 0;
  try {
    while (children[0] != 0 || children[1] != 0) {
      sleep_until(now_ns() + kLookNs);
      if (stop_ns == 0 && stage.go) stop_ns = now_ns() + duration_ns;
      if (stop_ns != 0 && now_ns() >= stop_ns) stage.stop = true;
      if (now_ns() - began_ns > duration_ns + kPatienceNs) throw std::runtime_error("no end in sight");
      for (pid_t& child : children)
        if (child != 0 && ended(child)) child = 0;
    }
  } catch (...) {
    for (const pid_t child : children)
      if (child != 0 && kill(child, SIGKILL) == 0) waitpid(child, nullptr, 0);
    throw;
  }
}

Latency latency_of(std::vector<std::int64_t>& samples_ns) {
  if (samples_ns.empty()) return {};
  std::sort(samples_ns.begin(), samples_ns.end());
  const auto part = [&](double share) {
    return samples_ns[static_cast<std::size_t>(static_cast<double>(samples_ns.size() - 1) * share)];
  };
  return {.samples = samples_ns.size(),
          .p50_ns = part(0.5),
          .p90_ns = part(0.9),
          .p99_ns = part(0.99),
          .p99_9_ns = part(0.999),
          .p99_99_ns = part(0.9999),
          .most_ns = samples_ns.back()};
}

std::int64_t cpu_time_ns() {
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

void sleep_until(std::int64_t when_ns) {
  const timespec when{.tv_sec = when_ns / 1'000'000'000, .tv_nsec = when_ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) == EINTR) {
  }
}

}  // namespace bench
