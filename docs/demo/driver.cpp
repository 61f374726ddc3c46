// SPDX-License-Identifier: Apache-2.0

// What the user sees: starts the coordinator, waits until it is gone, lets the workers begin, and compares
// what the collector found with what coreutils say of the same files.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fmt/color.h>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include <portolan/portolan.hpp>

#include "cpu.hpp"
#include "diary.hpp"
#include "questions.hpp"
#include "roles.hpp"

namespace demo {

namespace {

namespace fs = std::filesystem;

// Documentation first, then the largest programs: about 60 files, some megabytes to some tens of them.
std::vector<fs::path> files_of_this_machine() {
  std::vector<fs::path> documents, programs;
  std::error_code ignored;
  const auto regular = [&](const fs::directory_entry& entry) {
    return entry.is_regular_file(ignored) && !entry.is_symlink(ignored);
  };
  for (const fs::directory_entry& package : fs::directory_iterator("/usr/share/doc", ignored))
    if (const fs::directory_entry entry(package.path() / "copyright", ignored); regular(entry))
      documents.push_back(entry.path());
  for (const fs::directory_entry& entry : fs::directory_iterator("/usr/bin", ignored))
    if (regular(entry)) programs.push_back(entry.path());
  std::sort(documents.begin(), documents.end());
  std::sort(programs.begin(), programs.end(),
            [](const fs::path& a, const fs::path& b) { return fs::file_size(a) > fs::file_size(b); });
  documents.resize(std::min<std::size_t>(documents.size(), 40));
  programs.resize(std::min<std::size_t>(programs.size(), 20));
  documents.insert(documents.end(), programs.begin(), programs.end());
  return documents;
}

// Another program's word for it: "digest  size  path" by sha256sum and stat.
std::string ask_coreutils(const fs::path& path) {
  const auto ask = [&](const std::string& command) {
    std::string quoted = path.string();
    for (std::size_t at = 0; (at = quoted.find('\'', at)) != std::string::npos; at += 4)
      quoted.replace(at, 1, "'\\''");
    FILE* const pipe = popen((command + " '" + quoted + "'").c_str(), "re");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    char answer[128] = "";
    static_cast<void>(std::fscanf(pipe, "%127s", answer));
    pclose(pipe);
    return std::string(answer);
  };
  return fmt::format("{}  {}  {}", ask("sha256sum <"), ask("stat -L -c %s --"), path.string());
}

struct Conversation {
  portolan::MessagePort results;
  std::vector<portolan::MessagePort> starts;
  std::vector<portolan::MessagePort> logs;
  std::map<std::string, portolan::MessagePort> for_coordinator;

  portolan::MessagePort make(const std::string& name) {
    portolan::MessageChannel channel({.label = name});
    for_coordinator.emplace(name, std::move(channel.port2));
    return std::move(channel.port1);
  }
};

Conversation prepare() {
  Conversation talk;
  talk.results = talk.make("results");
  talk.logs.push_back(talk.make("log"));
  talk.logs.push_back(talk.make("log-collector"));
  for (int i = 1; i <= kWorkers; ++i) {
    talk.starts.push_back(talk.make(fmt::format("start-{}", i)));
    talk.logs.push_back(talk.make(fmt::format("log-worker-{}", i)));
  }
  return talk;
}

void hand_out(const std::vector<fs::path>& files, std::vector<portolan::MessagePort>& starts) {
  for (std::size_t i = 0; i < files.size(); ++i) starts[i % starts.size()].post_message(files[i].string());
  for (portolan::MessagePort& start : starts) start.post_message(std::uint64_t{files.size()});
}

std::vector<Note> read_diaries(std::vector<portolan::MessagePort>& logs) {
  std::vector<Note> notes;
  for (portolan::MessagePort& log : logs)
    while (portolan::Received line = log.receive()) notes.push_back(parse(line->text()));
  return notes;
}

const Note* find(const std::vector<Note>& notes, const std::string& process, const std::string& verb) {
  const auto found = std::find_if(notes.begin(), notes.end(), [&](const Note& note) {
    return note.process == process && note.verb == verb;
  });
  return found == notes.end() ? nullptr : &*found;
}

void write_drawing(const fs::path& folder, const std::vector<Note>& notes) {
  fs::create_directories(folder);
  const fs::path dot = folder / "ports.dot", svg = folder / "ports.svg", png = folder / "ports.png";
  std::ofstream(dot) << draw(notes);
  const auto render = [&](const char* format, const fs::path& to) {
    return std::system(fmt::format("dot -T{} '{}' -o '{}'", format, dot.string(), to.string()).c_str()) == 0;
  };
  if (render("svg", svg) && render("png", png))
    fmt::print("who held which port when: {} and {}\n", svg.string(), png.string());
  else
    fmt::print("who held which port when: {} (install graphviz to have it drawn)\n", dot.string());
}

}  // namespace

int drive(const Options& options) {
  std::vector<fs::path> files = options.files.empty() ? files_of_this_machine() : options.files;
  for (fs::path& file : files) {
    if (!fs::is_regular_file(file)) throw std::runtime_error(file.string() + " is no file that I can read");
    file = fs::absolute(file);
  }

  Conversation talk = prepare();
  portolan::Worker coordinator("/proc/self/exe", {"--role", "coordinator"},
                               {.ports = std::move(talk.for_coordinator)});
  fmt::print("coordinator: pid {}\n", coordinator.pid());
  const portolan::ExitStatus gone = coordinator.wait();
  const std::int64_t gone_ns = now_ns();
  if (!gone.exited || gone.code != 0) throw std::runtime_error("the coordinator failed");
  fmt::print("coordinator has exited; now the workers begin with {} files\n\n", files.size());
  hand_out(files, talk.starts);

  std::size_t right = 0, wrong = 0;
  std::uint64_t bytes = 0;
  while (portolan::Received line = talk.results.receive()) {
    const std::string found(line->text());
    const fs::path path = found.substr(found.find("  ", found.find("  ") + 2) + 2);
    bytes += std::stoull(found.substr(found.find("  ") + 2));
    const std::string expected = ask_coreutils(path);
    (found == expected ? right : wrong) += 1;
    if (found != expected) fmt::print("WRONG: coreutils say {}\n", expected);
  }
  const std::vector<Note> notes = read_diaries(talk.logs);
  const Note* const first_byte = find(notes, "collector", "first byte arrives");
  const bool in_order = first_byte == nullptr ? files.empty() : first_byte->time_ns > gone_ns;

  fmt::print("\n{} files, {} bytes: {} as coreutils say, {} not, {} missing\n", files.size(), bytes, right,
             wrong, files.size() - right - wrong);
  if (first_byte != nullptr)
    fmt::print("the first byte came {:.1f} ms after the coordinator was gone\n",
               static_cast<double>(first_byte->time_ns - gone_ns) / 1e6);
  write_drawing(options.output, notes);
  if (options.with_table) {
    fmt::print("\n{}\n", bench::machine());
    bench::Report report(3, false);
    bench::measure_one_way(report);
    bench::measure_round_trip(report);
  }
  return right == files.size() && in_order ? 0 : 1;
}

}  // namespace demo
