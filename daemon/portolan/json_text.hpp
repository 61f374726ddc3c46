// SPDX-License-Identifier: Apache-2.0

// JSON as this command writes it: objects put together in order, one after the other.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace command {

/// With quotation marks and escapes. `text` is valid UTF-8.
[[nodiscard]] std::string json_quoted(std::string_view text);

/// One object, member by member.
class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value) { return raw(name, json_quoted(value)); }
  template <std::integral T>
  JsonObject& number(std::string_view name, T value) {
    return raw(name, std::to_string(value));
  }
  JsonObject& flag(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  /// A value that is JSON already.
  JsonObject& raw(std::string_view name, std::string_view json);
  [[nodiscard]] std::string str() const { return members_ + "}"; }

 private:
  std::string members_ = "{";
};

/// One array, element by element.
class JsonArray {
 public:
  JsonArray& add(std::string_view json);
  [[nodiscard]] std::string str() const { return elements_ + "]"; }

 private:
  std::string elements_ = "[";
};

}  // namespace command
