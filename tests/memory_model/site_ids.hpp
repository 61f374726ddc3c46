// SPDX-License-Identifier: Apache-2.0

// Which [id] of the ordering table an access has: it stands in the comment behind it or above it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "words/watched_words.hpp"

namespace portolan::testing {

class SiteIds {
 public:
  explicit SiteIds(std::filesystem::path root) : root_(std::move(root)) {}

  // "W2"; empty: an access of the test's own.
  const std::string& at(words::Site site);

 private:
  const std::vector<std::string>& lines_of(const char* file);

  std::filesystem::path root_;
  std::map<std::string, std::vector<std::string>> lines_;
  std::map<std::pair<const char*, int>, std::string> ids_;
};

}  // namespace portolan::testing
