// SPDX-License-Identifier: Apache-2.0

// What the user sees: starts the coordinator, waits until it is gone, lets the workers begin, and compares
// what the collector found with what coreutils say of the same files.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fmt/color.h>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include <portolan/portolan.hpp>

#include "cpu.hpp"
#include "diary.hpp"
#include "peers/all.hpp"
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

// Other programs' word for it: sha256sum's and stat's.
Found ask_coreutils(const fs::path& path) {
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
  return {ask("sha256sum <"), std::stoull(ask("stat -L -c %s --")), path.string()};
}

struct Conversation {
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
  talk.logs.push_back(talk.make("log"));
  talk.logs.push_back(talk.make("log-collector"));
  for (int i = 1; i <= kWorkers; ++i) {
    talk.starts.push_back(talk.make(fmt::format("start-{}", i)));
    talk.logs.push_back(talk.make(fmt::format("log-worker-{}", i)));
  }
  return talk;
}

struct Tally {
  std::size_t right = 0, wrong = 0;
  std::uint64_t bytes = 0;
};

void check(portolan::MessagePort& receipt, const fs::path& file, Tally& tally) {
  portolan::Received answer = receipt.receive();
  if (!answer) return;  // whoever had the order is gone
  const Found found = answer->data<Found>(), expected = ask_coreutils(file);
  tally.bytes += found.size_bytes;
  (found == expected ? tally.right : tally.wrong) += 1;
  if (found != expected)
    fmt::print("WRONG: coreutils say {}  {}  {}\n", expected.digest, expected.size_bytes, expected.path);
}

// Each order carries the port on which its answer comes; some are always under way.
Tally stream(const std::vector<fs::path>& files, std::vector<portolan::MessagePort>& starts) {
  constexpr std::size_t kUnderWay = 64;  // two descriptors each
  std::deque<portolan::MessagePort> receipts;
  Tally tally;
  for (std::size_t sent = 0, checked = 0; checked < files.size();) {
    if (sent < files.size() && receipts.size() < kUnderWay) {
      portolan::MessageChannel channel({.label = "receipt"});
      starts[sent % starts.size()].post_message(Order{files[sent].string(), std::move(channel.port2)});
      receipts.push_back(std::move(channel.port1));
      ++sent;
      continue;
    }
    check(receipts.front(), files[checked++], tally);
    receipts.pop_front();
  }
  for (portolan::MessagePort& start : starts) start.post_message(std::uint64_t{files.size()});
  return tally;
}

std::vector<Note> read_diaries(std::vector<portolan::MessagePort>& logs) {
  std::vector<Note> notes;
  for (portolan::MessagePort& log : logs)
    while (portolan::Received note = log.receive()) notes.push_back(note->data<Note>());
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
  const Tally tally = stream(files, talk.starts);
  const std::vector<Note> notes = read_diaries(talk.logs);
  const Note* const first_byte = find(notes, "collector", "first byte arrives");
  const bool in_order = first_byte == nullptr ? files.empty() : first_byte->time_ns > gone_ns;

  fmt::print("\n{} files, {} bytes: {} as coreutils say, {} not, {} missing\n", files.size(), tally.bytes,
             tally.right, tally.wrong, files.size() - tally.right - tally.wrong);
  if (first_byte != nullptr)
    fmt::print("the first byte came {:.1f} ms after the coordinator was gone\n",
               static_cast<double>(first_byte->time_ns - gone_ns) / 1e6);
  write_drawing(options.output, notes);
  if (options.with_table) {
    fmt::print("\n{}\n", bench::machine());
    bench::Report report(3, false);
    const bench::Plan plan{.peers = bench::plain_peers(), .full = false};
    while (report.next_round()) {
      bench::measure_one_way(report, plan);
      bench::measure_round_trip(report, plan);
    }
  }
  return tally.right == files.size() && in_order ? 0 : 1;
}

}  // namespace demo
