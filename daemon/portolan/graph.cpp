// SPDX-License-Identifier: Apache-2.0

// graph: processes and the channels between them, in Graphviz's language or as it draws them.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <portolan/file_descriptor.hpp>

#include "exit_code.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

constexpr int kNoProgram = 127;
constexpr std::chrono::milliseconds kBetweenPictures{1000};

struct Pipe {
  portolan::FileDescriptor reading, writing;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    reading.reset(ends[0]);
    writing.reset(ends[1]);
  }
};

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

std::string graph_of(const std::vector<LookedAt>& found) {
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
  return text + edges + "}\n";
}

// What Graphviz makes of it.
std::string drawn(const std::string& graph, const std::string& format) {
  if (format == "dot") return graph;
  Pipe to, from;
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    ::dup2(to.reading.get(), STDIN_FILENO);
    ::dup2(from.writing.get(), STDOUT_FILENO);
    ::execlp("dot", "dot", ("-T" + format).c_str(), nullptr);
    ::_exit(kNoProgram);
  }
  to.reading.reset();
  from.writing.reset();
  // Graphviz reads all of it before it writes anything.
  for (std::size_t written = 0; written < graph.size();) {
    const ssize_t got = ::write(to.writing.get(), graph.data() + written, graph.size() - written);
    if (got <= 0) break;
    written += static_cast<std::size_t>(got);
  }
  to.writing.reset();
  std::string picture;
  std::array<char, 64 << 10> piece;
  for (ssize_t got; (got = ::read(from.reading.get(), piece.data(), piece.size())) > 0;)
    picture.append(piece.data(), static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoProgram)
    throw std::runtime_error("graph: there is no dot here; install graphviz, or say --format dot");
  if (status != 0)
    throw std::runtime_error("graph: dot has failed; say --format dot to see what it was given");
  return picture;
}

// A picture that is looked at meanwhile is the one before or this one, never half of one.
void put(const std::string& picture, const std::string& output) {
  if (output.empty()) return print(picture);
  const std::string draft = output + ".new";
  std::ofstream file(draft, std::ios::binary);
  file << picture;
  file.close();
  if (!file || std::rename(draft.c_str(), output.c_str()) != 0)
    throw std::system_error(errno, std::generic_category(), "graph: cannot write " + output);
}

std::string format_of(const GraphOptions& options) {
  if (!options.format.empty()) return options.format;
  const std::string ending = std::filesystem::path(options.output).extension();
  if (ending.empty()) return "dot";
  for (const char* const each : {"dot", "svg", "png"})
    if (ending == std::string(".") + each) return each;
  throw std::runtime_error("graph: " + options.output +
                           " ends in none of .dot, .svg and .png; say --format dot, svg or png");
}

}  // namespace

int draw_graph(const GraphOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);  // dot may end first
  const std::string format = format_of(options);
  for (;;) {
    const std::vector<LookedAt> found = look(options.filter, options.interval);
    put(drawn(graph_of(found), format), options.output);
    if (!options.watch) return found.empty() ? kNothing : kFound;
    std::this_thread::sleep_for(kBetweenPictures);
  }
}

}  // namespace command
