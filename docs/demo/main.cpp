// SPDX-License-Identifier: Apache-2.0

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/core.h>

#include "roles.hpp"

int main(int argc, char** argv) {
  CLI::App arguments(
      "Shows Portolan's main job on real files. A coordinator starts two workers and a collector, hands each "
      "its ports, "
      "and exits; only then do files begin to stream from the workers straight to the collector, which "
      "prints their "
      "sizes and SHA-256 digests. They are compared with what sha256sum and stat say. Then a drawing of who "
      "held which "
      "port when, and a short table of speeds beside a pipe and a socketpair. Fails if any digest differs.");
  demo::Options options;
  std::string role;
  bool no_table = false;
  arguments.add_option("FILE", options.files,
                       "files to stream; without any, documentation and programs of this machine");
  arguments.add_option("--output", options.output, "folder for the drawing")->capture_default_str();
  arguments.add_flag("--no-table", no_table, "leave out the table of speeds");
  arguments.add_option("--role", role)->group("");  // how the program starts itself
  CLI11_PARSE(arguments, argc, argv);
  // The collector prints in between: whole lines in their order, into a pipe too.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  options.with_table = !no_table;
  try {
    if (role == "coordinator") return demo::coordinate();
    if (role == "worker") return demo::work();
    if (role == "collector") return demo::collect();
    return demo::drive(options);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "{}: {}\n", role.empty() ? "demo" : role, failure.what());
    return 1;
  }
}
