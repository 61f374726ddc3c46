// SPDX-License-Identifier: Apache-2.0

#include "support/resource_census.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace portolan::testing {

namespace {

namespace filesystem = std::filesystem;

std::map<int, std::string> count_descriptors() {
  std::map<int, std::string> descriptors;
  for (const auto& entry : filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own descriptor is listed, and may be closed by now
    const filesystem::path target = filesystem::read_symlink(entry.path(), gone);
    if (!gone && !target.string().ends_with("/fd")) {
      descriptors.emplace(std::stoi(entry.path().filename().string()), target.string());
    }
  }
  return descriptors;
}

std::multimap<std::string, std::string> count_shared_mappings() {
  std::multimap<std::string, std::string> mappings;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range, permissions, offset, device, inode, name;
    fields >> range >> permissions >> offset >> device >> inode >> name;
    if (permissions.ends_with('s')) {
      mappings.emplace(device + " " + inode + " " + name, line);
    }
  }
  return mappings;
}

std::vector<std::string> count_children() {
  std::vector<std::string> pids;
  for (const auto& thread : filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(thread.path() / "children");
    for (std::string pid; list >> pid;) {
      pids.push_back(pid);
    }
  }
  return pids;
}

long count_shmem_kib() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (line.starts_with("Shmem:")) {
      return std::stol(line.substr(6));
    }
  }
  return 0;
}

// What other processes have open now: a memory file each once, however many have it.
long shmem_of_others_kib() {
  std::map<ino_t, long> files;
  std::error_code error;
  for (const auto& process : filesystem::directory_iterator("/proc", error)) {
    const std::string name = process.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || name == std::to_string(::getpid()))
      continue;
    std::error_code hidden;  // another user's, or gone
    for (filesystem::directory_iterator entry(process.path() / "fd", hidden), end; !hidden && entry != end;
         entry.increment(hidden)) {
      std::error_code gone;
      if (!filesystem::read_symlink(entry->path(), gone).string().starts_with("/memfd:")) continue;
      struct stat about {};
      if (::stat(entry->path().c_str(), &about) == 0) files[about.st_ino] = about.st_blocks / 2;
    }
  }
  long kib = 0;
  for (const auto& [inode, each] : files) kib += each;
  return kib;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) {
    all += "\n  " + line;
  }
  return all;
}

}  // namespace

Census Census::take() {
  return {count_descriptors(), count_shared_mappings(), count_children(), count_shmem_kib()};
}

std::vector<std::string> left_behind(const Census& before, const Census& after) {
  std::vector<std::string> lines;
  for (const auto& [number, target] : after.descriptors) {
    const auto known = before.descriptors.find(number);
    if (known == before.descriptors.end() || known->second != target) {
      lines.push_back("descriptor " + std::to_string(number) + " -> " + target);
    }
  }
  for (auto mapping = after.shared_mappings.begin(); mapping != after.shared_mappings.end();) {
    const std::string& name = mapping->first;
    if (after.shared_mappings.count(name) > before.shared_mappings.count(name)) {
      lines.push_back("mapping " + mapping->second);
    }
    mapping = after.shared_mappings.upper_bound(name);
  }
  for (const std::string& child : after.children) {
    if (std::find(before.children.begin(), before.children.end(), child) == before.children.end()) {
      lines.push_back("child " + child);
    }
  }
  if (after.shmem_kib > before.shmem_kib + kShmemSlackKib) {
    lines.push_back("Shmem " + std::to_string(before.shmem_kib) + " -> " + std::to_string(after.shmem_kib) +
                    " KiB");
  }
  return lines;
}

ResourceCensus::ResourceCensus(std::chrono::nanoseconds patience)
    : patience_(patience), exceptions_(std::uncaught_exceptions()), before_(Census::take()) {}

ResourceCensus::~ResourceCensus() {
  if (std::uncaught_exceptions() > exceptions_) {
    return;
  }
  std::vector<std::string> lines;
  bool clean = wait_until(
      [&] {
        lines = left_behind(before_, Census::take());
        return lines.empty();
      },
      patience_);
  if (!clean) {
    // Another test may have been at work all the time. What only a socket's queue holds is in no process's
    // table.
    Census after = Census::take();
    after.shmem_kib -= shmem_of_others_kib();
    const auto left = left_behind(before_, after);
    clean = left.empty();
    if (clean) MESSAGE("held by other processes:" << joined(lines));
  }
  CHECK_MESSAGE(clean, "left behind:" << joined(lines));
}

}  // namespace portolan::testing
