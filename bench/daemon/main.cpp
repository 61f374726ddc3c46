// SPDX-License-Identifier: Apache-2.0

// What portoland does under load: ./dev bench --daemon.
#include <CLI/CLI.hpp>
#include <ctime>
#include <exception>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fstream>
#include <utility>

#include "cpu.hpp"
#include "daemon/questions.hpp"

namespace {

using namespace bench;

std::string json_of(const Figures& figures) {
  std::string text =
      fmt::format("{{\"machine\": \"{}\", \"date\": \"{:%F}\", \"commit\": \"{}\", \"figures\": [\n",
                  machine(), fmt::gmtime(std::time(nullptr)), PORTOLAN_COMMIT);
  for (std::size_t i = 0; i < figures.size(); ++i)
    text += fmt::format("  {{\"name\": \"{}\", \"value\": {:.6g}, \"unit\": \"{}\"}}{}\n", figures[i].name,
                        figures[i].value, figures[i].unit, i + 1 < figures.size() ? "," : "");
  return text + "]}\n";
}

}  // namespace

int main(int count, char** words) {
  CLI::App app("What portoland does under load. Needs root for 10,000 clients and for a second user.");
  std::string daemon, json, only;
  app.add_option("PORTOLAND", daemon, "the daemon")->required()->check(CLI::ExistingFile);
  app.add_option("--json", json, "writes the figures to this file as well");
  app.add_option("--only", only, "connects, idle, hostile, daemon or service");
  CLI11_PARSE(app, count, words);
  using Ask = void (*)(const std::string&, Figures&);
  constexpr std::pair<const char*, Ask> kQuestions[] = {{"connects", ask_for_connects},
                                                        {"idle", ask_for_idle_clients},
                                                        {"hostile", ask_for_hostile_user},
                                                        {"daemon", ask_for_daemon_deaths},
                                                        {"service", ask_for_service_deaths}};
  Figures figures;
  try {
    for (const auto& [name, ask] : kQuestions) {
      if (!only.empty() && only != name) continue;
      const std::size_t shown = figures.size();
      ask(daemon, figures);
      for (std::size_t i = shown; i < figures.size(); ++i)
        fmt::print("{:<66} {:>12} {}\n", figures[i].name, fmt::format("{:.4g}", figures[i].value),
                   figures[i].unit);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "portolan-daemon-bench: {}\n", error.what());
    return 1;
  }
  if (!json.empty()) std::ofstream(json) << json_of(figures);
  return 0;
}
