// SPDX-License-Identifier: Apache-2.0

// What is asked of the daemon: each runs real processes, and adds its figures.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
};
using Figures = std::vector<Figure>;

/// How long connect() takes to a name that is there, and how many a second there are with several programs.
void ask_for_connects(const std::string& daemon, Figures& figures);
/// The daemon's memory with so many programs connected that say nothing.
void ask_for_idle_clients(const std::string& daemon, Figures& figures);
/// What a thousand connections of one user do to the connects of another one: once waiting, once talking
/// without end. Needs root.
void ask_for_hostile_user(const std::string& daemon, Figures& figures);
/// The daemon is killed again and again while messages flow and programs connect.
void ask_for_daemon_deaths(const std::string& daemon, Figures& figures);
/// A service in custody is killed again and again while its client talks to it.
void ask_for_service_deaths(const std::string& daemon, Figures& figures);

}  // namespace bench
