// SPDX-License-Identifier: Apache-2.0

// Collects the samples of all rows, a round after the other, and prints each row when it is complete: median,
// spread, how many, and how far the CPUs were.
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
  std::string who;   // empty if nothing is compared
  std::string part;  // of a distribution, such as "p99"; mostly empty
  std::string unit;
  bool limit = false;  // nobody's library, but the machine's
  std::vector<Sample> samples;
};

// Of those who answer one question.
struct Answer {
  std::string_view who;
  bool limit = false;
};

// Figures of one measurement, such as the parts of a distribution.
using Parts = std::vector<double>;

class Report {
 public:
  // Its rows are complete after `rounds` calls of next_round(), each followed by the same questions.
  Report(int rounds, bool progress) : rounds_(rounds), progress_(progress) {}

  // False after the last.
  bool next_round();

  void section(std::string_view title);
  // Runs `measure` between two probes of the cache line. A measurement that throws is told on stderr, and
  // its row lacks a sample.
  void row(const std::string& question, std::string_view unit, const std::function<double()>& measure);
  void row(const std::string& question, const Answer& answer, std::string_view unit,
           const std::function<double()>& measure);
  void parts(const std::string& question, const Answer& answer, const std::vector<std::string>& names,
             std::string_view unit, const std::function<Parts()>& measure);
  // A figure that is counted once, in the first round, and does not depend on the distance of the CPUs.
  void fact(const std::string& question, std::string_view unit, const std::function<double()>& measure);

  // Where another library is ahead of ours, for every question that both answered while the CPUs were equally
  // far apart.
  void print_losses() const;
  // All samples, for regenerating tables and plots.
  std::string json(std::string_view machine, std::string_view commit) const;
  std::string csv() const;

 private:
  Row& find(const Row& like);
  Row& add(const Row& like, const Sample& sample);
  void print_complete(const std::vector<std::size_t>& places);
  void show_progress(std::string_view question, std::string_view who) const;

  int rounds_;
  int round_ = 0;
  bool progress_;
  std::int64_t began_ns_ = 0;
  std::string section_;
  std::string printed_section_;
  std::vector<Row> rows_;
};

}  // namespace bench
