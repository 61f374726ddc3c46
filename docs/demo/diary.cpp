// SPDX-License-Identifier: Apache-2.0

#include "diary.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <sstream>
#include <stdexcept>
#include <time.h>
#include <unistd.h>

namespace demo {

std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Diary::note(std::string_view verb, std::string_view port, std::string_view channel) {
  log_.post_message(
      Note{now_ns(), getpid(), process_, std::string(verb), std::string(port), std::string(channel)});
}

std::string draw(std::vector<Note> notes) {
  std::stable_sort(notes.begin(), notes.end(),
                   [](const Note& a, const Note& b) { return a.time_ns < b.time_ns; });
  const std::int64_t began_ns = notes.empty() ? 0 : notes.front().time_ns;
  std::string nodes, arrows;
  std::map<std::string, std::string> last_of_process;
  std::map<std::string, std::string> given;  // by port and channel: the node that gave it away
  for (std::size_t i = 0; i < notes.size(); ++i) {
    const Note& note = notes[i];
    const std::string node = fmt::format("n{}", i);
    const std::string what = note.port.empty() ? note.verb
                                               : fmt::format("{} {}\\nchannel {}", note.verb, note.port,
                                                             note.channel.substr(0, 8));
    nodes += fmt::format("  {} [label=\"{:.1f} ms  {}\"{}];\n", node,
                         static_cast<double>(note.time_ns - began_ns) / 1e6, what,
                         note.verb == "exits" ? ", style=filled, fillcolor=lightgrey" : "");
    const std::string lane = fmt::format("{} (pid {})", note.process, note.pid);
    const auto [last, first] = last_of_process.try_emplace(lane, fmt::format("p{}", note.pid));
    if (first)
      nodes += fmt::format("  {} [label=\"{}\", shape=plaintext, fontsize=13];\n", last->second, lane);
    arrows += fmt::format("  {} -> {} [color=grey, arrowhead=none, weight=20];\n", last->second, node);
    last->second = node;
    const std::string key = note.port + note.channel;
    if (note.verb == "gave") given[key] = node;
    if (note.verb == "got" && given.contains(key))
      arrows += fmt::format("  {} -> {} [color=blue, penwidth=1.5, constraint=true];\n", given[key], node);
  }
  return "digraph ports {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n  ranksep=0.25;\n" +
         nodes + arrows + "}\n";
}

}  // namespace demo
