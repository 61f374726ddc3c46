// SPDX-License-Identifier: Apache-2.0

#include "broker/text_lines.hpp"

#include <algorithm>

#include <portolan/error.hpp>

#include "os/refusal.hpp"
#include "os/user_database.hpp"

namespace portolan::broker {

namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::string_view kBlank = " \t\r";

}  // namespace

std::string read_configuration(const std::string& file) {
  auto text = os::read_text(file, kMostBytes);
  if (!text) {
    const std::error_code error = os::last_error();
    throw PortError(error, file + ": " + error.message() + "; mend it, or start portoland without it");
  }
  return std::move(*text);
}

void for_each_line(std::string_view text, const std::function<void(std::size_t, std::string_view)>& call) {
  for (std::size_t number = 1, begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    call(number, line.substr(0, line.find('#')));
    begin = end + 1;
  }
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t begin = line.find_first_not_of(kBlank); begin != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlank, begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlank, end);
  }
  return words;
}

void refuse_text(const std::string& where, const std::string& what) {
  throw PortError(std::make_error_code(std::errc::invalid_argument), where + ": " + what);
}

}  // namespace portolan::broker
