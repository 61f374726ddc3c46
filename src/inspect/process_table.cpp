// SPDX-License-Identifier: Apache-2.0

#include "inspect/process_table.hpp"

#include <algorithm>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sstream>
#include <string_view>
#include <unistd.h>

#include <portolan/file_descriptor.hpp>

#include "inspect/shown_text.hpp"

namespace portolan::inspect {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// The entries of a directory that are numbers; nothing if it cannot be opened.
std::optional<std::vector<int>> numbers_in(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return std::nullopt;
  std::vector<int> numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name(entry->d_name);
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

std::string read_text(const std::string& path) {
  constexpr std::size_t kMostBytes = 64 << 10;
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  if (!file) return text;
  char piece[4096];
  while (text.size() < kMostBytes) {
    const ssize_t got = ::read(file.get(), piece, sizeof piece);
    if (got <= 0) break;
    text.append(piece, static_cast<std::size_t>(got));
  }
  return text;
}

std::string field_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + ":")) continue;
    const std::size_t begin = line.find_first_not_of(" \t", name.size() + 1);
    return begin == std::string::npos ? std::string() : line.substr(begin);
  }
  return {};
}

std::vector<int> all_processes() {
  return numbers_in("/proc").value_or(std::vector<int>());
}

std::optional<std::vector<int>> descriptors_of(int pid) {
  return numbers_in("/proc/" + std::to_string(pid) + "/fd");
}

ProcessStatus status_of(int pid) {
  const std::string text = read_text("/proc/" + std::to_string(pid) + "/status");
  ProcessStatus status;
  status.name = shown_text(field_of(text, "Name"));
  std::istringstream(field_of(text, "Uid")) >> status.uid;
  std::istringstream pids(field_of(text, "NSpid"));
  for (std::uint32_t number = 0; pids >> number;) status.pids.push_back(number);
  if (status.pids.empty()) status.pids.push_back(static_cast<std::uint32_t>(pid));
  return status;
}

}  // namespace portolan::inspect
