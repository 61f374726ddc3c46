// SPDX-License-Identifier: Apache-2.0

// What the kernel says of a buffer in this process, found by its label: its descriptors, what is mapped of
// it, and what memory it occupies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace portolan::testing {

// Descriptors of buffers with this label.
[[nodiscard]] inline std::vector<int> descriptors_of(const std::string& label) {
  std::vector<int> numbers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!gone && target.find("memfd:portolan:" + label) != std::string::npos)
      numbers.push_back(std::stoi(entry.path().filename().string()));
  }
  return numbers;
}

[[nodiscard]] inline std::size_t mappings_of(const std::string& label) {
  std::size_t count = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("memfd:portolan:" + label) != std::string::npos) ++count;
  return count;
}

// Of all its pages, whoever has touched them.
[[nodiscard]] inline std::uint64_t memory_of(const std::string& label) {
  struct stat status {};
  const std::vector<int> numbers = descriptors_of(label);
  if (numbers.empty() || ::fstat(numbers.front(), &status) != 0) return ~std::uint64_t{0};
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace portolan::testing
