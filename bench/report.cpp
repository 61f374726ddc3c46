// SPDX-License-Identifier: Apache-2.0

#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/core.h>
#include <fmt/format.h>
#include <optional>

#include "cache_line.hpp"
#include "cpu.hpp"
#include "peers/peer.hpp"

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

std::string name_of(const Row& row) {
  std::string name = row.question;
  if (!row.who.empty()) name += " | " + row.who;
  if (!row.part.empty()) name += ", " + row.part;
  return name;
}

bool is_near(const Sample& sample) {
  return sample.cache_line_ns < kNearNs;
}

// The parts of a distribution, in one line; the spread is of the first.
void print_parts(const std::vector<const Row*>& rows, bool near) {
  std::string medians;
  for (const Row* const row : rows) {
    std::vector<double> values;
    for (const Sample& sample : row->samples)
      if (is_near(sample) == near) values.push_back(sample.value);
    if (values.empty()) return;
    medians += fmt::format("  {} {}", row->part, figure(median(values)));
  }
  fmt::print("{:<50}{} {}, {}\n", rows.front()->question + " | " + rows.front()->who, medians,
             rows.front()->unit, near ? "near" : "FAR");
}

// Samples taken while the CPUs were near, or those while they were far, as one line.
void print(const Row& row, bool near) {
  std::vector<double> values, distances;
  for (const Sample& sample : row.samples) {
    if (is_near(sample) != near) continue;
    values.push_back(sample.value);
    distances.push_back(static_cast<double>(sample.cache_line_ns));
  }
  if (values.empty()) return;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  fmt::print("{:<62} {:>10} {:<8} [{} - {}] n={} {} line {:.0f} ns\n", name_of(row), figure(median(values)),
             row.unit, figure(*least), figure(*most), values.size(), near ? "near" : "FAR ",
             median(distances));
}

std::optional<double> median_while(const Row& row, bool near) {
  std::vector<double> values;
  for (const Sample& sample : row.samples)
    if (is_near(sample) == near) values.push_back(sample.value);
  return values.empty() ? std::nullopt : std::optional(median(values));
}

// How many times better than ours while the CPUs were near, or far if they were not near for both; a rate is
// better when it is larger, all else when it is smaller.
double advantage(const Row& theirs, const Row& ours) {
  for (const bool near : {true, false}) {
    const auto mine = median_while(ours, near), other = median_while(theirs, near);
    if (!mine || !other || *mine == 0 || *other == 0) continue;
    return ours.unit.ends_with("/s") ? *other / *mine : *mine / *other;
  }
  return 0;
}

}  // namespace

bool Report::next_round() {
  if (round_ == 0) began_ns_ = now_ns();
  return ++round_ <= rounds_;
}

void Report::section(std::string_view title) {
  section_ = title;
}

void Report::show_progress(std::string_view question, std::string_view who) const {
  if (!progress_) return;
  fmt::print(stderr, "\r\033[K{} s, round {} of {}: {} {}", (now_ns() - began_ns_) / 1'000'000'000, round_,
             rounds_, question, who);
}

Row& Report::find(const Row& like) {
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) {
    return row.section == like.section && row.question == like.question && row.who == like.who &&
           row.part == like.part;
  });
  return found != rows_.end() ? *found : rows_.emplace_back(like);
}

Row& Report::add(const Row& like, const Sample& sample) {
  Row& row = find(like);
  row.samples.push_back(sample);
  return row;
}

void Report::print_complete(const std::vector<std::size_t>& places) {
  if (round_ < rounds_) return;
  if (printed_section_ != section_) fmt::print("\n{}\n", section_);
  printed_section_ = section_;
  std::vector<const Row*> rows;
  rows.reserve(places.size());
  for (const std::size_t place : places) rows.push_back(&rows_[place]);
  for (const bool near : {true, false}) {
    if (rows.size() == 1)
      print(*rows.front(), near);
    else
      print_parts(rows, near);
  }
  std::fflush(stdout);
}

void Report::parts(const std::string& question, const Answer& answer, const std::vector<std::string>& names,
                   std::string_view unit, const std::function<Parts()>& measure) {
  show_progress(question, answer.who);
  const std::int64_t before_ns = cache_line_round_trip_ns();
  Parts values;
  try {
    values = measure();
  } catch (const std::exception& failure) {
    fmt::print(stderr, "\r\033[K{} {}: {}\n", question, answer.who, failure.what());
    return;
  }
  const std::int64_t line_ns = std::max(before_ns, cache_line_round_trip_ns());
  if (progress_) fmt::print(stderr, "\r\033[K");
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Row& row =
        add({section_, question, std::string(answer.who), names[i], std::string(unit), answer.limit, {}},
            {values[i], line_ns});
    places.push_back(static_cast<std::size_t>(&row - rows_.data()));
  }
  print_complete(places);
}

void Report::row(const std::string& question, const Answer& answer, std::string_view unit,
                 const std::function<double()>& measure) {
  parts(question, answer, {""}, unit, [&] { return Parts{measure()}; });
}

void Report::row(const std::string& question, std::string_view unit, const std::function<double()>& measure) {
  row(question, Answer{}, unit, measure);
}

void Report::fact(const std::string& question, std::string_view unit,
                  const std::function<double()>& measure) {
  const Row row{section_, question, {}, {}, std::string(unit), false, {}};
  if (round_ == 1) add(row, {measure(), cache_line_round_trip_ns()});
  print_complete({static_cast<std::size_t>(&find(row) - rows_.data())});
}

void Report::print_losses() const {
  fmt::print("\nWhere another is ahead of Portolan (the CPUs equally far apart)\n");
  bool none = true;
  for (const Row& ours : rows_) {
    if (ours.who != kOurName) continue;
    for (const Row& theirs : rows_) {
      if (theirs.limit || theirs.who == kOurName || theirs.section != ours.section ||
          theirs.question != ours.question || theirs.part != ours.part)
        continue;
      const double times = advantage(theirs, ours);
      if (times <= 1) continue;
      fmt::print("{}: {}: {:.2f} times\n", ours.section, name_of(theirs), times);
      none = false;
    }
  }
  if (none) fmt::print("nowhere in this run\n");
}

std::string Report::json(std::string_view machine, std::string_view commit) const {
  std::string out = fmt::format(
      "{{\"machine\": \"{}\", \"commit\": \"{}\", \"near_ns\": {}, \"pinned\": \"CPU 0 and CPU 1\", "
      "\"rows\": [\n",
      machine, commit, kNearNs);
  for (const Row& row : rows_) {
    out += fmt::format(
        "  {{\"section\": \"{}\", \"question\": \"{}\", \"who\": \"{}\", \"part\": \"{}\", \"unit\": \"{}\", "
        "\"limit\": {}, \"samples\": [",
        row.section, row.question, row.who, row.part, row.unit, row.limit);
    for (const Sample& sample : row.samples)
      out += fmt::format("{}[{:.6g}, {}]", &sample == row.samples.data() ? "" : ", ", sample.value,
                         sample.cache_line_ns);
    out += &row == &rows_.back() ? "]}\n" : "]},\n";
  }
  return out + "]}\n";
}

std::string Report::csv() const {
  std::string out = "section,question,who,part,unit,value,cache_line_ns\n";
  for (const Row& row : rows_)
    for (const Sample& sample : row.samples)
      out += fmt::format("\"{}\",\"{}\",\"{}\",{},{},{:.6g},{}\n", row.section, row.question, row.who,
                         row.part, row.unit, sample.value, sample.cache_line_ns);
  return out;
}

}  // namespace bench
