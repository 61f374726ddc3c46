// SPDX-License-Identifier: Apache-2.0

// Collects the samples of one question and prints them as a row: median, spread, how many, and how far the
// CPUs were.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Sample {
  double value;
  std::int64_t cache_line_ns;  // the worse of the probes before and after it
};

struct Row {
  std::string section;
  std::string question;
  std::string unit;
  std::vector<Sample> samples;
};

class Report {
 public:
  explicit Report(int repeats, bool progress) : repeats_(repeats), progress_(progress) {}

  void section(std::string_view title);
  // Runs `measure` some times, each between two probes of the cache line, and prints the row.
  void row(const std::string& question, std::string_view unit, const std::function<double()>& measure);
  // A figure that is counted once, and does not depend on the distance of the CPUs.
  void fact(const std::string& question, std::string_view unit, double value);
  // All samples, for regenerating tables and plots.
  std::string json(std::string_view machine, std::string_view commit) const;

 private:
  int repeats_;
  bool progress_;
  std::string section_;
  std::vector<Row> rows_;
};

}  // namespace bench
