// SPDX-License-Identifier: Apache-2.0

#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/core.h>
#include <fmt/format.h>

#include "cache_line.hpp"

namespace bench {

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string figure(double value) {
  if (value >= 1e9) return fmt::format("{:.2f} G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.1f} k", value / 1e3);
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.2f}", value);
}

// Samples taken while the CPUs were near, or those while they were far, as one line.
void print(const Row& row, bool near) {
  std::vector<double> values, distances;
  for (const Sample& sample : row.samples) {
    if ((sample.cache_line_ns < kNearNs) != near) continue;
    values.push_back(sample.value);
    distances.push_back(static_cast<double>(sample.cache_line_ns));
  }
  if (values.empty()) return;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  fmt::print("{:<58} {:>10} {:<8} [{} - {}] n={} {} line {:.0f} ns\n", row.question, figure(median(values)),
             row.unit, figure(*least), figure(*most), values.size(), near ? "near" : "FAR ",
             median(distances));
}

}  // namespace

void Report::section(std::string_view title) {
  section_ = title;
  fmt::print("\n{}\n", title);
}

void Report::row(const std::string& question, std::string_view unit, const std::function<double()>& measure) {
  Row row{section_, question, std::string(unit), {}};
  for (int i = 0; i < repeats_; ++i) {
    if (progress_) fmt::print(stderr, "\r\033[K{} {}/{}", question, i + 1, repeats_);
    const std::int64_t before_ns = cache_line_round_trip_ns();
    const double value = measure();
    row.samples.push_back({value, std::max(before_ns, cache_line_round_trip_ns())});
  }
  if (progress_) fmt::print(stderr, "\r\033[K");
  print(row, true);
  print(row, false);
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

void Report::fact(const std::string& question, std::string_view unit, double value) {
  Row row{section_, question, std::string(unit), {{value, cache_line_round_trip_ns()}}};
  print(row, true);
  print(row, false);
  rows_.push_back(std::move(row));
}

std::string Report::json(std::string_view machine, std::string_view commit) const {
  std::string out = fmt::format("{{\"machine\": \"{}\", \"commit\": \"{}\", \"near_ns\": {}, \"rows\": [\n",
                                machine, commit, kNearNs);
  for (const Row& row : rows_) {
    out += fmt::format("  {{\"section\": \"{}\", \"question\": \"{}\", \"unit\": \"{}\", \"samples\": [",
                       row.section, row.question, row.unit);
    for (const Sample& sample : row.samples)
      out += fmt::format("{}[{}, {}]", &sample == row.samples.data() ? "" : ", ", sample.value,
                         sample.cache_line_ns);
    out += &row == &rows_.back() ? "]}\n" : "]},\n";
  }
  return out + "]}\n";
}

}  // namespace bench
