// SPDX-License-Identifier: Apache-2.0

// A burst that nobody reads yet: what it takes in time and memory, and how much of it is given back once it
// is read.

#include <dirent.h>
#include <set>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "questions.hpp"

namespace bench {

namespace {

constexpr std::size_t kMessageBytes = 1024, kBurstBytes = 32 << 20;
constexpr std::int64_t kLaterNs = 1'600'000'000;

// Of all memory files of this process, each counted once, though both ports have a descriptor of it.
double memory_file_bytes() {
  double bytes = 0;
  std::set<ino_t> seen;
  DIR* const directory = opendir("/proc/self/fd");
  while (const dirent* const entry = readdir(directory)) {
    struct stat status {};
    const std::string path = std::string("/proc/self/fd/") + entry->d_name;
    std::vector<char> target(64);
    const ssize_t length = readlink(path.c_str(), target.data(), target.size());
    if (length <= 0 ||
        std::string(target.data(), static_cast<std::size_t>(length)).find("memfd:") == std::string::npos)
      continue;
    if (stat(path.c_str(), &status) == 0 && seen.insert(status.st_ino).second)
      bytes += static_cast<double>(status.st_blocks) * 512;
  }
  closedir(directory);
  return bytes;
}

struct Burst {
  double fresh_ns, again_ns;  // a message of the first burst, and of one into the same memory
  double peak_ratio, left_ratio, later_ratio;  // memory over payload
};

double post_burst(portolan::MessagePort& port) {
  const std::vector<std::byte> payload(kMessageBytes);
  constexpr std::size_t kMessages = kBurstBytes / kMessageBytes;
  const std::int64_t began_ns = now_ns();
  for (std::size_t i = 0; i < kMessages; ++i) port.post_message(payload);
  return static_cast<double>(now_ns() - began_ns) / kMessages;
}

Burst measure_burst(std::int64_t later_ns) {
  pin_to(0);
  portolan::MessageChannel channel;
  channel.port1.post_message("first");
  static_cast<void>(channel.port2.try_receive());
  Burst burst{};
  const double before = memory_file_bytes();
  burst.fresh_ns = post_burst(channel.port1);
  burst.peak_ratio = (memory_file_bytes() - before) / kBurstBytes;
  while (channel.port2.try_receive()) {
  }
  burst.left_ratio = (memory_file_bytes() - before) / kBurstBytes;
  burst.again_ns = post_burst(channel.port1);
  while (channel.port2.try_receive()) {
  }
  for (const std::int64_t until_ns = now_ns() + later_ns; now_ns() < until_ns;) {
    channel.port1.post_message("later");
    static_cast<void>(channel.port2.try_receive());
  }
  burst.later_ratio = (memory_file_bytes() - before) / kBurstBytes;
  return burst;
}

}  // namespace

void measure_growth(Report& report) {
  report.section("A burst of 32 MiB in messages of 1 KiB, unread at first");
  report.parts("time of a message", {}, {"into a fresh channel", "of a second burst"}, "ns", [] {
    const Burst burst = measure_burst(0);
    return Parts{burst.fresh_ns, burst.again_ns};
  });
  report.parts("memory over payload", {}, {"all unread", "all read", "and after 1.6 s of small messages"},
               "times", [] {
                 const Burst burst = measure_burst(kLaterNs);
                 return Parts{burst.peak_ratio, burst.left_ratio, burst.later_ratio};
               });
}

}  // namespace bench
