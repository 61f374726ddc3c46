// SPDX-License-Identifier: Apache-2.0

#include "json_text.hpp"

#include <fmt/core.h>

namespace command {

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\')
      quoted.append(1, '\\').append(1, letter);
    else if (static_cast<unsigned char>(letter) < 0x20)
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    else
      quoted += letter;
  }
  return quoted + '"';
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  if (members_.size() > 1) members_ += ',';
  members_.append(json_quoted(name)).append(1, ':').append(json);
  return *this;
}

JsonArray& JsonArray::add(std::string_view json) {
  if (elements_.size() > 1) elements_ += ',';
  elements_.append(json);
  return *this;
}

}  // namespace command
