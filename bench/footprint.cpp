// SPDX-License-Identifier: Apache-2.0

// What an idle channel costs after two short messages, one each way: shared memory, page tables, descriptors.

#include <dirent.h>
#include <fstream>
#include <string>
#include <vector>

#include <portolan/port.hpp>

#include "questions.hpp"

namespace bench {

namespace {

// A line such as "Shmem:   1234 kB", in bytes.
double kilobyte_line(const char* file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    if (word != name + ":") continue;
    double kilobytes = 0;
    lines >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

double open_descriptors() {
  double count = 0;
  DIR* const directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

}  // namespace

void measure_footprint(Report& report) {
  constexpr int kChannels = 1000;
  report.section("An idle channel, both ends in this process, after a message each way");
  std::vector<portolan::MessageChannel> channels;
  channels.reserve(kChannels);
  const double shmem = kilobyte_line("/proc/meminfo", "Shmem");
  const double tables = kilobyte_line("/proc/self/status", "VmPTE");
  const double heap = kilobyte_line("/proc/self/status", "RssAnon");
  const double descriptors = open_descriptors();
  for (int i = 0; i < kChannels; ++i) {
    portolan::MessageChannel& channel = channels.emplace_back();
    channel.port1.post_message("there");
    static_cast<void>(channel.port2.try_receive());
    channel.port2.post_message("back");
    static_cast<void>(channel.port1.try_receive());
  }
  const double shared = kilobyte_line("/proc/meminfo", "Shmem") - shmem;
  const double in_tables = kilobyte_line("/proc/self/status", "VmPTE") - tables;
  const double on_heap = kilobyte_line("/proc/self/status", "RssAnon") - heap;
  const double opened = open_descriptors() - descriptors;
  report.fact("shared memory", "B/channel", [&] { return shared / kChannels; });
  report.fact("page tables", "B/channel", [&] { return in_tables / kChannels; });
  report.fact("private memory", "B/channel", [&] { return on_heap / kChannels; });
  report.fact("descriptors", "/port", [&] { return opened / kChannels / 2; });
}

}  // namespace bench
