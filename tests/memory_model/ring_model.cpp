// SPDX-License-Identifier: Apache-2.0

// The ring's own code under the language's memory model, which allows more than any x86 does: as it is
// written no order of events is found in which something goes wrong; with one order left out, one is.
//   usage: PROGRAM ROOT [ROUNDS [SWITCHES [FIRST]]]
// ROUNDS multiplies the executions, which are drawn from seeds that count from FIRST, or from 1; with
// SWITCHES, what holds is also searched in all executions of the shorter scenarios with so many switches of
// threads, or fewer; 0 is none.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_model/ring_scenarios.hpp"

namespace {

using namespace portolan::testing;

struct Search {
  rl::iteration_t executions;  // at random
  unsigned switches = 0;       // else all that have no more than so many of them, of threads
  rl::iteration_t first = 1;   // of those at random
};

template <class Scenario>
bool holds(Search search, std::string& said) {
  const bool history = std::getenv("PORTOLAN_MODEL_HISTORY") != nullptr;
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.output_stream = params.progress_stream = history ? &std::cerr : &nowhere;
  params.search_type =
      search.switches == 0 ? rl::random_scheduler_type : rl::fair_context_bound_scheduler_type;
  params.context_bound = search.switches;
  const rl::iteration_t first = search.switches == 0 ? search.first : 1;
  if (first != 1) params.initial_state = std::to_string(first);
  params.iteration_count = first + search.executions - 1;
  params.execution_depth_limit = 20'000;
  params.collect_history = history;
  params.output_history = true;  // else it runs what failed once more
  const bool held = rl::simulate<Scenario>(params);
  said = std::to_string(params.stop_iteration - first + 1) + " executions";
  if (!held) said += std::string(", then: ") + rl::test_result_str(params.test_result);
  return held;
}

struct Scenario {
  const char* name;
  bool (*holds)(Search, std::string&);
  Search search;
};

struct Weakening {
  const char* id;
  const Scenario* scenario;
};

// Which ids a scenario comes by goes through a pipe, since each run is a process of its own: Relacy leaves
// the threads of a failed execution where they are.
bool run(const std::filesystem::path& root, const Scenario& scenario, rl::iteration_t rounds,
         const char* weakened) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    Plan plan{SiteIds(root), weakened, {}};
    present_plan() = &plan;
    static_cast<void>(ring_memory());
    Search search = scenario.search;
    search.executions *= rounds;
    std::string said;
    const bool held = scenario.holds(search, said);
    const bool as_expected = held == plan.weakened.empty();
    std::printf("%-4s %-16s %s%s: %s\n", as_expected ? "ok" : "FAIL", scenario.name,
                *weakened != '\0' ? "without the order of " : "as written", weakened, said.c_str());
    if (plan.weakened.empty()) {
      std::printf("     its accesses:");
      for (const std::string& id : plan.exercised) std::printf(" %s", id.c_str());
      std::printf("\n");
    }
    std::fflush(stdout);
    ::_exit(as_expected ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return std::fprintf(stderr, "usage: %s ROOT [ROUNDS [SWITCHES [FIRST]]]\n", arguments[0]), 2;
  const rl::iteration_t rounds = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const auto switches = static_cast<unsigned>(count > 3 ? std::atoi(arguments[3]) : 0);
  const rl::iteration_t first = count > 4 ? std::strtoull(arguments[4], nullptr, 10) : 1;
  const Scenario within{"within an extent", holds<WithinAnExtent>, {5'000, 0, first}};
  const Scenario over{"over blocks", holds<OverBlocks>, {5'000, 0, first}};
  const Scenario waking{"waking", holds<Waking>, {5'000, 0, first}};
  const Scenario telling{"telling", holds<Telling>, {2'000, 0, first}};
  const std::array<Weakening, 11> weakenings{{
      {"W2", &within},
      {"R1", &within},
      {"W8", &over},
      {"R1", &over},
      {"B1", &over},
      {"B2", &over},
      {"S1", &waking},
      {"S5", &waking},
      {"S8", &waking},
      {"W17", &telling},
      {"R9", &telling},
  }};
  int failed = 0;
  for (const Scenario* scenario : {&within, &over, &waking, &telling}) {
    failed += !run(arguments[1], *scenario, rounds, "");
    if (switches == 0 || scenario == &over) continue;
    Scenario all = *scenario;
    all.search.switches = switches;
    failed += !run(arguments[1], all, 1, "");
  }
  for (const Weakening& weakening : weakenings)
    failed += !run(arguments[1], *weakening.scenario, rounds, weakening.id);
  return failed == 0 ? 0 : 1;
}
