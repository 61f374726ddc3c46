// SPDX-License-Identifier: Apache-2.0

// One-way throughput from CPU 1 to CPU 0, of every peer at every size.

#include <fmt/format.h>

#include "questions.hpp"

namespace bench {

namespace {

std::string size_name(std::size_t bytes) {
  if (bytes >= 1 << 20) return fmt::format("{} MiB", bytes >> 20);
  if (bytes >= 1 << 10) return fmt::format("{} KiB", bytes >> 10);
  return fmt::format("{} B", bytes);
}

constexpr std::int64_t kShortNs = 60'000'000, kLongNs = 150'000'000, kLargeNs = 400'000'000;
constexpr std::size_t kLargeBytes = 1 << 20;

void measure_size(Report& report, const Plan& plan, const Setup& setup, std::string_view how) {
  const std::string question = fmt::format("{} {}", size_name(setup.bytes), how);
  Stream stream{.setup = setup, .duration_ns = plan.full ? kLongNs : kShortNs};
  if (setup.bytes > kLargeBytes) stream.duration_ns = kLargeNs;
  for (const Peer* const peer : plan.peers)
    if (peer->can(setup))
      report.row(question, {peer->name(), peer->is_limit()}, "msg/s",
                 [&] { return peer->run(stream).per_second; });
}

}  // namespace

void measure_one_way(Report& report, const Plan& plan) {
  constexpr std::size_t kKiB = 1 << 10, kMiB = 1 << 20;
  const std::vector<std::size_t> all{8, 64, 256, kKiB, 4 * kKiB, 64 * kKiB, 256 * kKiB, kMiB, 64 * kMiB};
  const std::vector<std::size_t> few{64, 64 * kKiB};
  report.section("One way, copied in and out");
  for (const std::size_t bytes : plan.full ? all : few) {
    measure_size(report, plan, {.bytes = bytes, .waiting = Waiting::polling}, "polling");
    measure_size(report, plan, {.bytes = bytes, .waiting = Waiting::blocking}, "blocking");
  }
  report.section("One way, every word written and summed");
  const std::vector<std::size_t> all_large{64, kKiB, 64 * kKiB, kMiB, 64 * kMiB};
  for (const std::size_t bytes : plan.full ? all_large : std::vector<std::size_t>{kMiB}) {
    measure_size(report, plan, {.bytes = bytes, .waiting = Waiting::polling, .handling = Handling::summed},
                 "copied in and out, polling");
    measure_size(report, plan, {.bytes = bytes, .waiting = Waiting::polling, .handling = Handling::in_place},
                 "in place, polling");
  }
}

}  // namespace bench
