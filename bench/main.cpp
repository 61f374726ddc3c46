// SPDX-License-Identifier: Apache-2.0

// portolan-bench: what a message, a move and a channel cost on this machine, beside what the machine allows.

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fstream>
#include <unistd.h>

#include "cpu.hpp"
#include "questions.hpp"

int main(int argc, char** argv) {
  CLI::App options(
      "Measures Portolan between two processes, pinned to CPU 0 and CPU 1, beside pipes, sockets and bare "
      "system calls "
      "in the same run. Every figure is the median of its samples, with the least and the most, and with the "
      "round trip "
      "of a cache line at that time: CPUs of a virtual machine may be near each other or far, and what was "
      "measured "
      "near and far is kept apart. Run it on an idle machine.");
  int repeats = 5;
  std::string json;
  std::string only;
  options.add_option("-n,--repeats", repeats, "samples of each figure")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  options.add_option("--json", json, "also write every sample to this file");
  options
      .add_option(
          "--only", only,
          "one question: one-way, round-trip, move, buffer, create, values, footprint, scale or patterns")
      ->check(CLI::IsMember(
          {"one-way", "round-trip", "move", "buffer", "create", "values", "footprint", "scale", "patterns"}));
  CLI11_PARSE(options, argc, argv);

  fmt::print("{}, commit {}\n", bench::machine(), PORTOLAN_COMMIT);
  bench::Report report(repeats, isatty(STDERR_FILENO) != 0);
  const auto wanted = [&](const char* question) { return only.empty() || only == question; };
  try {
    if (wanted("footprint")) bench::measure_footprint(report);
    if (wanted("one-way")) bench::measure_one_way(report);
    if (wanted("round-trip")) bench::measure_round_trip(report);
    if (wanted("move")) bench::measure_move(report);
    if (wanted("buffer")) bench::measure_buffer(report);
    if (wanted("create")) bench::measure_create(report);
    if (wanted("values")) bench::measure_values(report);
    if (wanted("scale")) bench::measure_scale(report);
    if (wanted("patterns")) bench::measure_patterns(report);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "portolan-bench: {}\n", failure.what());
    return 1;
  }
  if (!json.empty()) std::ofstream(json) << report.json(bench::machine(), PORTOLAN_COMMIT);
  return 0;
}
