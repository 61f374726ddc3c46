// SPDX-License-Identifier: Apache-2.0

// portolan-bench: what a message, a move and a channel cost on this machine, beside what the machine allows
// and what others reach.

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fstream>
#include <functional>
#include <unistd.h>

#include "cpu.hpp"
#include "peers/all.hpp"
#include "questions.hpp"

namespace {

struct Question {
  std::string name;
  std::function<void(bench::Report&, const bench::Plan&)> measure;
  bool quick = true;  // fits into the short run
};

const std::vector<Question>& questions() {
  using bench::Plan, bench::Report;
  static const std::vector<Question> all{
      {"footprint", [](Report& report, const Plan&) { bench::measure_footprint(report); }},
      {"machine", bench::measure_machine},
      {"one-way", bench::measure_one_way},
      {"round-trip", bench::measure_round_trip},
      {"paced", bench::measure_paced},
      {"cpu", bench::measure_cpu_time},
      {"batches", [](Report& report, const Plan&) { bench::measure_batches(report); }},
      {"producers", [](Report& report, const Plan&) { bench::measure_producers(report); }},
      {"move", [](Report& report, const Plan&) { bench::measure_move(report); }},
      {"create", [](Report& report, const Plan&) { bench::measure_create(report); }},
      {"growth", [](Report& report, const Plan&) { bench::measure_growth(report); }},
      {"values", [](Report& report, const Plan&) { bench::measure_values(report); }},
      {"patterns", [](Report& report, const Plan&) { bench::measure_patterns(report); }, false},
      {"buffer", [](Report& report, const Plan&) { bench::measure_buffer(report); }, false},
      {"scale", [](Report& report, const Plan&) { bench::measure_scale(report); }, false},
      {"hostile", [](Report& report, const Plan&) { bench::measure_hostile(report); }, false},
  };
  return all;
}

struct Wanted {
  std::vector<std::string> only;
  std::vector<std::string> peers;
  std::string json, csv;
  int rounds = 0;
  bool full = false;
};

bool is_named(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

void measure(bench::Report& report, const bench::Plan& plan, const Wanted& wanted) {
  while (report.next_round())
    for (const Question& question : questions())
      if (is_named(wanted.only, question.name) && (plan.full || question.quick || !wanted.only.empty()))
        question.measure(report, plan);
}

CLI::App& with_options(CLI::App& options, Wanted& wanted) {
  std::vector<std::string> names, peers;
  for (const Question& question : questions()) names.push_back(question.name);
  for (const bench::Peer* const peer : bench::all_peers()) peers.emplace_back(peer->name());
  options.add_flag("--full", wanted.full, "all sizes, all questions, longer samples; takes tens of minutes");
  options
      .add_option("-n,--rounds", wanted.rounds,
                  "samples of each figure, taken in as many rounds (default: 3, or 7 with --full)")
      ->check(CLI::Range(1, 1000));
  options.add_option("--only", wanted.only, "these questions")->check(CLI::IsMember(names));
  options.add_option("--peers", wanted.peers, "these peers besides Portolan")->check(CLI::IsMember(peers));
  options.add_option("--json", wanted.json, "write every sample to this file");
  options.add_option("--csv", wanted.csv, "likewise, a line each");
  options.set_version_flag("--version", "portolan-bench " PORTOLAN_VERSION ", commit " PORTOLAN_COMMIT);
  options.footer(
      "Exit status: 0, or 1 if something could not be measured at all. A peer that fails is told on stderr, "
      "and its "
      "row lacks that sample. ./dev bench --full writes JSON, CSV and plots into a folder.");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  Wanted wanted;
  CLI::App options(
      "Measures Portolan between two processes, pinned to CPU 0 and CPU 1, beside the machine's limits and "
      "other "
      "libraries in the same run. Every figure is the median of its samples, with the least and the most, "
      "and with "
      "the round trip of a cache line at that time: CPUs of a virtual machine may be near each other or far, "
      "and "
      "what was measured near and far is kept apart. Run it on an idle machine.");
  with_options(options, wanted);
  CLI11_PARSE(options, argc, argv);

  bench::Plan plan{.peers = {}, .full = wanted.full};
  for (const bench::Peer* const peer : bench::all_peers())
    if (peer->name() == bench::kOurName || is_named(wanted.peers, peer->name())) plan.peers.push_back(peer);
  const int rounds = wanted.rounds != 0 ? wanted.rounds : wanted.full ? 7 : 3;
  fmt::print("{}, commit {}, pinned to CPU 0 and CPU 1\n", bench::machine(), PORTOLAN_COMMIT);
  bench::Report report(rounds, isatty(STDERR_FILENO) != 0);
  try {
    measure(report, plan, wanted);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "portolan-bench: {}\n", failure.what());
    return 1;
  }
  report.print_losses();
  if (!wanted.json.empty()) std::ofstream(wanted.json) << report.json(bench::machine(), PORTOLAN_COMMIT);
  if (!wanted.csv.empty()) std::ofstream(wanted.csv) << report.csv();
  return 0;
}
