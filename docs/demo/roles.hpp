// SPDX-License-Identifier: Apache-2.0

// The demo's processes. The driver starts the coordinator; the coordinator starts a collector and two
// workers, hands each its ports, and exits; then the driver lets the workers begin, and files stream from
// them to the collector.
//
//   on a stream: text = a file begins (its path), bytes = a piece of it, number = it ends (its size)
//   on a start:  text = a path to send, number = that was the last one
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace demo {

inline constexpr int kWorkers = 2;

struct Options {
  std::vector<std::filesystem::path> files;  // empty: documentation and programs of this machine
  std::filesystem::path output = "build/demo";
  bool with_table = true;
};

// Their exit statuses.
int drive(const Options& options);
int coordinate();
int work();
int collect();

}  // namespace demo
