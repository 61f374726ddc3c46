// SPDX-License-Identifier: Apache-2.0

// graph: processes and the channels between them, in Graphviz's language.
#include <fmt/core.h>
#include <map>
#include <string>

#include "exit_code.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

// An end that no process has is a node of its own.
std::string node_of(const Channel& channel, Side side, std::map<std::string, std::string>& nodes) {
  const bool alone = channel.holder(side) == nullptr;
  std::string node = alone ? fmt::format("{}-{}", to_text(channel.control.id), letter_of(side))
                           : fmt::format("pid-{}", channel.holder(side)->pid);
  const auto* const holder = channel.holder(side);
  nodes[node] = alone ? std::string(name_of(channel.end[index(side)].place))
                      : fmt::format("{}[{}]", holder->name, holder->pid);
  return node;
}

std::string edge_label(const LookedAt& one) {
  std::string text = one.channel.control.label.empty() ? to_text(one.channel.control.id).substr(0, 8)
                                                       : one.channel.control.label;
  for (const Side writer : kSides) {
    const auto& direction = one.channel.control.direction[index(writer)];
    const double rate = one.rate ? (*one.rate)[index(writer)].messages : 0;
    if (direction.unread_messages() == 0 && rate < 0.05) continue;
    text +=
        fmt::format(" | {}>{}: {}/s, {} unread", letter_of(writer), letter_of(portolan::ring::other(writer)),
                    count_text(rate), direction.unread_messages());
  }
  return text;
}

}  // namespace

int draw_graph(const LsOptions& options) {
  const std::vector<LookedAt> found = look(options.filter, options.interval);
  std::map<std::string, std::string> nodes;
  std::string edges;
  for (const LookedAt& one : found) {
    const std::string a = node_of(one.channel, Side::a, nodes), b = node_of(one.channel, Side::b, nodes);
    edges += fmt::format("  {} -> {} [dir=both, label={}];\n", json_quoted(a), json_quoted(b),
                         json_quoted(edge_label(one)));
  }
  std::string text = "digraph portolan {\n  node [shape=box];\n";
  for (const auto& [node, label] : nodes)
    text += fmt::format("  {} [label={}];\n", json_quoted(node), json_quoted(label));
  print(text + edges + "}\n");
  return found.empty() ? kNothing : kFound;
}

}  // namespace command
