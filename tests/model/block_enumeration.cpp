// SPDX-License-Identifier: Apache-2.0

// Block maps and adoption, enumerated: one direction with its first extent and a few blocks of two cells; a
// writer and a reader that make one load or store a step, through store buffers that drain when they like
// (TSO), each killed at any step and adopted. All interleavings are visited breadth first, so a
// counterexample is a shortest one. `block_enumeration [--without=RULE] [--blocks=N] [--messages=N]
// [--kills=WRITER,READER] [--count] [--trace]`; it stops at the first violation, or counts all. Exit status
// 0: none, 1: a violation, 2: out of memory bounds. Every RULE must be needed: the runner checks that.

//! clean quick
//! clean --kills=2,2
//! clean --blocks=4 --messages=5 --kills=2,1
//! mutant frame_before_jump quick
//! mutant zero_next_header quick
//! mutant intent_before_alloc quick
//! mutant extent_after_jump quick
//! mutant extent_before_intent quick
//! mutant adopter_stores_extent quick --kills=2,0
//! mutant whole_extent_handed_back quick
//! mutant adopter_looks_at_intent quick
//! mutant intent_is_kept quick
//! mutant cursor_before_rel quick
//! mutant cursor_knows_its_extent quick
//! mutant alloc_before_intent quick
//! mutant intent_is_no_suspect quick
//! mutant jumped_into_struck_off quick
//! mutant rest_waits quick
//! mutant dry_releases_rest quick

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "block_steps.hpp"

namespace model {
namespace {

// All successors of a state, each with a name for traces.
template <class Visit>
void for_each_successor(const State& s, const Sizes& sizes, const Rules& rules, Visit visit) {
  const auto attempt = [&](const char* name, auto step) {
    State next = s;
    if (step(next)) visit(next, name);
  };
  if (s.writer.stores.count > 0)
    attempt("writer's store becomes visible", [](State& n) { return n.drain(n.writer.stores); });
  if (s.reader.stores.count > 0)
    attempt("reader's store becomes visible", [](State& n) { return n.drain(n.reader.stores); });
  if (s.writer.step == WriterStep::dead) {
    if (s.writer.stores.count == 0) attempt("writer adopted", [](State& n) { return n.revive_writer(); });
  } else {
    if (s.writer_kills < sizes.writer_kills)
      attempt("WRITER KILLED", [](State& n) { return n.kill_writer(); });
    if (s.writer.stores.has_room()) {
      if (s.writer.step == WriterStep::idle) {
        attempt("writer starts a frame of 1", [&](State& n) { return start_message(n, 1, sizes, rules); });
        attempt("writer starts a frame of 2", [&](State& n) { return start_message(n, 2, sizes, rules); });
      } else {
        attempt("writer", [&](State& n) { return write_step(n, rules) || adopt_writer_step(n, rules); });
      }
    }
  }
  if (s.reader.step == ReaderStep::dead) {
    if (s.reader.stores.count == 0) attempt("reader adopted", [](State& n) { return n.revive_reader(); });
  } else {
    if (s.reader_kills < sizes.reader_kills)
      attempt("READER KILLED", [](State& n) { return n.kill_reader(); });
    if (s.reader.stores.has_room()) attempt("reader", [&](State& n) { return read_step(n, rules); });
  }
}

struct Hash {
  std::size_t operator()(const State& s) const noexcept {
    std::array<char, sizeof(State)> bytes;
    std::memcpy(bytes.data(), &s, sizeof s);
    return std::hash<std::string_view>{}({bytes.data(), bytes.size()});
  }
};

struct Visited {
  State state;
  std::uint32_t parent;
  const char* step;
};

void print_trace(const std::vector<Visited>& visited, std::size_t last) {
  std::vector<std::size_t> path;
  for (std::size_t i = last; i != 0; i = visited[i].parent) path.push_back(i);
  std::reverse(path.begin(), path.end());
  for (const std::size_t i : path) visited[i].state.print(visited[i].step);
}

int enumerate(const Sizes& sizes, const Rules& rules, bool trace, bool count_all) {
  constexpr std::size_t kMaxStates = 40'000'000;  // 3 GB
  std::vector<Visited> visited{{State::initial(sizes), 0, "start"}};
  std::unordered_set<State, Hash> known{visited.front().state};
  std::size_t bad = 0, first_bad = 0;
  for (std::size_t i = 0; i < visited.size() && visited.size() < kMaxStates; ++i) {
    if (visited[i].state.violation != nullptr) continue;
    const State current = visited[i].state;
    for_each_successor(current, sizes, rules, [&](State& next, const char* step) {
      next.check_quiescent(rules.dry_releases_rest);
      if (!known.insert(next).second) return;
      visited.push_back({next, static_cast<std::uint32_t>(i), step});
      if (next.violation == nullptr) return;
      if (bad++ == 0) first_bad = visited.size() - 1;
    });
    if (bad > 0 && !count_all) break;
  }
  if (trace && bad > 0) print_trace(visited, first_bad);
  std::printf("%zu states, %zu bad%s%s\n", visited.size(), bad, bad > 0 ? ", first: " : "",
              bad > 0 ? visited[first_bad].state.violation : "");
  if (visited.size() >= kMaxStates) return 2;
  return bad == 0 ? 0 : 1;
}

unsigned number_after(std::string_view argument, std::string_view name) {
  return static_cast<unsigned>(std::stoul(std::string(argument.substr(name.size()))));
}

}  // namespace
}  // namespace model

int main(int argc, char** argv) {
  model::Sizes sizes;
  model::Rules rules;
  bool trace = false, count_all = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--without=")) {
      if (!rules.drop(argument.substr(10)))
        return std::fprintf(stderr, "no such rule: %s\n", argv[i] + 10), 2;
    } else if (argument.starts_with("--blocks=")) {
      sizes.blocks = static_cast<std::uint8_t>(model::number_after(argument, "--blocks="));
    } else if (argument.starts_with("--messages=")) {
      sizes.messages = static_cast<std::uint8_t>(model::number_after(argument, "--messages="));
    } else if (argument.starts_with("--kills=")) {
      sizes.writer_kills = static_cast<std::uint8_t>(argument[8] - '0');
      sizes.reader_kills = static_cast<std::uint8_t>(argument[10] - '0');
    } else if (argument == "--trace") {
      trace = true;
    } else if (argument == "--count") {
      count_all = true;
    }
  }
  return model::enumerate(sizes, rules, trace, count_all);
}
