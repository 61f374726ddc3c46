// SPDX-License-Identifier: Apache-2.0

// The subcommands: what each is told, and what it returns as the command's exit status. main.cpp alone knows
// of the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "followed.hpp"
#include "looking.hpp"

namespace command {

struct LsOptions {
  Filter filter;
  std::chrono::milliseconds interval{200};
  bool json = false;
};
int list_channels(const LsOptions& options);

struct TopOptions {
  Filter filter;
  SortBy by = SortBy::rate;
  std::chrono::milliseconds interval{1000};
  std::size_t looks = 0;  // then it ends; 0: never, on a terminal
};
int show_top(const TopOptions& options);

struct GraphOptions {
  Filter filter;
  std::chrono::milliseconds interval{200};
  std::string format;  // dot, svg or png; empty: as the output's name ends, else dot
  std::string output;  // a file; empty: stdout
  bool watch = false;
};
int draw_graph(const GraphOptions& options);

struct NamesOptions {
  std::string pattern = "*";
  bool json = false;
};
int show_names(const NamesOptions& options);

struct BenchOptions {
  double seconds = 1;  // of each measurement
  bool json = false;
};
int measure(const BenchOptions& options);
/// What the other process of a measurement does, on its parent's port.
int answer_measurement();

struct StatOptions {
  std::string core;  // a core dump
  std::string channel;
  std::chrono::milliseconds interval{200};
  bool json = false;
};
int show_channel(const StatOptions& options);

struct TailOptions {
  std::string core;  // a core dump
  std::string channel;
  std::string from;  // "A" or "B"; empty: both directions
  std::size_t most_messages = 10;
  std::size_t most_bytes = 256;
  bool follow = false;
  bool json = false;
};
int show_messages(const TailOptions& options);

struct DoctorOptions {
  bool json = false;
};
int examine_machine(const DoctorOptions& options);

struct ListenAtOptions {
  std::string address;
  bool verbose = false;
};
int listen_at(const ListenAtOptions& options);

struct ConnectToOptions {
  std::string address;
  std::chrono::milliseconds timeout{30'000};  // for connecting
};
int connect_to(const ConnectToOptions& options);

struct SendToOptions {
  std::string address;
  std::vector<std::string> messages;
  std::chrono::milliseconds timeout{30'000};  // for connecting, and for being read or answered
  bool wants_answer = false;
};
int send_to(const SendToOptions& options);

struct RunOptions {
  std::vector<std::string> command;
  bool close_after_input = false;
};
int run_worker(const RunOptions& options);

}  // namespace command
