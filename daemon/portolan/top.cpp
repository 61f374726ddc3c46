// SPDX-License-Identifier: Apache-2.0

// top: the channels, live, the busiest first.
#include <algorithm>
#include <fmt/core.h>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>

#include "channel_cells.hpp"
#include "exit_code.hpp"
#include "followed.hpp"
#include "screen.hpp"
#include "subcommands.hpp"
#include "terminal.hpp"

namespace command {
namespace {

constexpr std::chrono::milliseconds kShortest{100};
constexpr std::chrono::milliseconds kLongest{60'000};

std::string_view name_of(SortBy by) noexcept {
  switch (by) {
    case SortBy::rate:
      return "rate";
    case SortBy::unread:
      return "unread";
    case SortBy::oldest:
      return "oldest";
    case SortBy::memory:
      return "memory";
    case SortBy::label:
      break;
  }
  return "label";
}

// What the keys change.
struct View {
  SortBy by = SortBy::rate;
  std::chrono::milliseconds interval{1000};
  bool paused = false;
  bool help = false;
  bool leaves = false;
  std::size_t first = 0;  // line that is shown
};

std::string oldest_cell(const Followed::Line& line) {
  const double seconds = line.longest_wait();
  if (seconds < 0) return toned("-", Tone::faint);
  return toned(">= " + duration_text(seconds), seconds >= 10 ? Tone::bad : Tone::warning);
}

std::string summary(const Followed& followed, const View& view) {
  double rate = 0;
  std::uint64_t unread = 0, memory = 0;
  std::set<int> processes;
  for (const Followed::Line* const line : followed.sorted(SortBy::label)) {
    rate += line->rate();
    unread += line->unread();
    memory += line->looked.channel.memory_bytes;
    for (const auto& holder : line->looked.channel.segment.holders) processes.insert(holder.pid);
  }
  return fmt::format("{} channels, {} processes, {} messages/s, {} unread, {}   by {}, every {}{}\n",
                     followed.size(), processes.size(), count_text(rate), unread, bytes_text(memory),
                     name_of(view.by), duration_text(static_cast<double>(view.interval.count()) / 1000),
                     view.paused ? toned(", paused", Tone::warning) : "");
}

std::string table_of(const Followed& followed, const View& view) {
  using enum Table::Align;
  Table table({{"ID", left},
               {"LABEL", left},
               {"A", left},
               {"B", left},
               {"A>B/s", right},
               {"B>A/s", right},
               {"BOTH", left},
               {"UNREAD A>B", right},
               {"UNREAD B>A", right},
               {"OLDEST", right},
               {"MEMORY", right},
               {"WAITS", left}});
  const auto lines = followed.sorted(view.by);
  for (std::size_t i = std::min(view.first, lines.size()); i < lines.size(); ++i) {
    const Channel& channel = lines[i]->looked.channel;
    table.add({id_cell(channel), channel.control.label, end_cell(channel, Side::a),
               end_cell(channel, Side::b), rate_cell(lines[i]->looked, Side::a),
               rate_cell(lines[i]->looked, Side::b), toned(sparkline(lines[i]->history), Tone::good),
               unread_cell(channel.control.direction[0]), unread_cell(channel.control.direction[1]),
               oldest_cell(*lines[i]), bytes_text(channel.memory_bytes), waits_text(channel)});
  }
  return table.str();
}

constexpr std::string_view kHelp =
    "q quit   space pause   + - faster, slower   sort by: r rate, u unread, o oldest unread, m memory, l "
    "label"
    "   arrows, page up/down, home, end: scroll   h hide this\n";

std::string picture(const Followed& followed, const View& view) {
  return summary(followed, view) + (view.help ? toned(kHelp, Tone::faint) : "") + table_of(followed, view);
}

void scroll(View& view, Key key, std::size_t lines, std::size_t page) {
  const std::size_t last = lines > page ? lines - page : 0;
  const auto back = [&](std::size_t by) { view.first -= std::min(view.first, by); };
  const auto on = [&](std::size_t by) { view.first = std::min(view.first + by, std::max(last, view.first)); };
  if (key == Key::up) back(1);
  if (key == Key::down) on(1);
  if (key == Key::page_up) back(page);
  if (key == Key::page_down) on(page);
  if (key == Key::home) view.first = 0;
  if (key == Key::end) view.first = last;
}

void obey(View& view, char letter) {
  constexpr std::pair<char, SortBy> kOrders[] = {{'r', SortBy::rate},
                                                 {'u', SortBy::unread},
                                                 {'o', SortBy::oldest},
                                                 {'m', SortBy::memory},
                                                 {'l', SortBy::label}};
  for (const auto& [key, by] : kOrders)
    if (letter == key) view.by = by;
  if (letter == 'q') view.leaves = true;
  if (letter == ' ') view.paused = !view.paused;
  if (letter == 'h' || letter == '?') view.help = !view.help;
  if (letter == '+') view.interval = std::max(view.interval / 2, kShortest);
  if (letter == '-') view.interval = std::min(view.interval * 2, kLongest);
}

// Without a terminal: so many looks, one below the other.
int print_looks(const TopOptions& options, View view) {
  Followed followed;
  followed.look(options.filter);
  for (std::size_t i = 0; i < std::max<std::size_t>(options.looks, 1); ++i) {
    std::this_thread::sleep_for(view.interval);
    followed.look(options.filter);
    print((i > 0 ? "\n" : "") + picture(followed, view));
  }
  return followed.size() == 0 ? kNothing : kFound;
}

}  // namespace

int show_top(const TopOptions& options) {
  View view;
  view.by = options.by;
  view.interval = options.interval;
  if (::isatty(STDOUT_FILENO) == 0 || options.looks > 0) return print_looks(options, view);
  Terminal terminal;
  Followed followed;
  auto next_look = Followed::Clock::now();
  while (!view.leaves) {
    const auto now = Followed::Clock::now();
    if (now >= next_look && !view.paused) {
      followed.look(options.filter);
      next_look = now + view.interval;
    }
    terminal.show(picture(followed, view));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_look - Followed::Clock::now());
    const auto pressed = terminal.key(view.paused ? kLongest : std::max(left, std::chrono::milliseconds(0)));
    if (!pressed) continue;
    const auto interval = view.interval;
    if (pressed->key == Key::other) obey(view, pressed->letter);
    const std::size_t rows = terminal.size().rows;
    scroll(view, pressed->key, followed.size(), rows > 3 ? rows - 3 : 1);
    if (view.interval != interval) next_look = Followed::Clock::now();
  }
  return kFound;
}

}  // namespace command
