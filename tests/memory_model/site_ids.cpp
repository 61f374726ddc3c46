// SPDX-License-Identifier: Apache-2.0

#include "memory_model/site_ids.hpp"

#include <algorithm>
#include <fstream>
#include <regex>

namespace portolan::testing {
namespace {

// From the tree's root, whatever the compiler was told.
std::string path_in_tree(const std::string& file) {
  for (const char* folder : {"src/", "include/"}) {
    const std::size_t at = file.rfind(folder);
    if (at != std::string::npos) return file.substr(at);
  }
  return {};
}

std::string id_in(const std::string& line) {
  static const std::regex kId(R"(//\s*\[([A-Z]+[0-9]+)\])");
  std::smatch found;
  return std::regex_search(line, found, kId) ? found[1].str() : std::string();
}

bool is_comment(const std::string& line) {
  return line.find_first_not_of(' ') == line.find("//");
}

bool ends_statement(const std::string& line) {
  const std::size_t last = line.find_last_not_of(' ');
  return last == std::string::npos || std::string(";{}:").find(line[last]) != std::string::npos;
}

std::string id_around(const std::vector<std::string>& lines, std::size_t number) {
  if (const std::string id = id_in(lines[number]); !id.empty()) return id;
  std::size_t at = number;
  while (at > 0 && !is_comment(lines[at - 1]) && !ends_statement(lines[at - 1])) --at;
  for (; at > 0 && is_comment(lines[at - 1]); --at)
    if (const std::string id = id_in(lines[at - 1]); !id.empty()) return id;
  return {};
}

}  // namespace

const std::vector<std::string>& SiteIds::lines_of(const char* file) {
  const auto [place, first] = lines_.try_emplace(path_in_tree(file));
  if (first && !place->first.empty()) {
    std::ifstream source(root_ / place->first);
    for (std::string line; std::getline(source, line);) place->second.push_back(line);
  }
  return place->second;
}

const std::string& SiteIds::at(words::Site site) {
  const auto [place, first] = ids_.try_emplace({site.file, site.line});
  if (first) {
    const std::vector<std::string>& lines = lines_of(site.file);
    const auto number = static_cast<std::size_t>(site.line) - 1;
    if (number < lines.size()) place->second = id_around(lines, number);
  }
  return place->second;
}

}  // namespace portolan::testing
