// SPDX-License-Identifier: Apache-2.0

// Endpoints to text and back. A text is accepted only if it is what format_endpoints writes for its own
// meaning, so no leading zeros, signs, capitals or spaces need rules of their own.
#include "wire/endpoint_text.hpp"

#include <algorithm>
#include <charconv>

namespace portolan::wire {
namespace {

constexpr std::string_view kVersion = "1;";
constexpr std::string_view kHexDigits = "0123456789abcdef";

// What stands before the next separator, which is removed with it; nothing if there is none.
std::optional<std::string_view> take_until(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(end + 1);
  return field;
}

template <class Number>
bool parse_number(std::optional<std::string_view> field, Number& number) noexcept {
  if (!field) return false;
  const char* const end = field->data() + field->size();
  const auto [stopped, error] = std::from_chars(field->data(), end, number);
  return error == std::errc{} && stopped == end;
}

bool parse_side(std::optional<std::string_view> field, Side& side) noexcept {
  if (field != "a" && field != "b") return false;
  side = field == "a" ? Side::a : Side::b;
  return true;
}

bool parse_channel(std::optional<std::string_view> field, ChannelId& channel) noexcept {
  if (!field || field->size() != 2 * channel.size()) return false;
  for (std::size_t i = 0; i < channel.size(); ++i) {
    unsigned byte = 0;
    const char* const digits = field->data() + 2 * i;
    const auto [stopped, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc{} || stopped != digits + 2) return false;
    channel[i] = static_cast<std::byte>(byte);
  }
  return true;
}

std::optional<EndpointText> parse_endpoint(std::string_view text) {
  EndpointText endpoint;
  if (!parse_number(take_until(text, ','), endpoint.segment) || endpoint.segment < 0) return std::nullopt;
  if (!parse_number(take_until(text, ','), endpoint.socket) || endpoint.socket < 0) return std::nullopt;
  if (!parse_number(take_until(text, ','), endpoint.expected_generation)) return std::nullopt;
  if (!parse_side(take_until(text, ','), endpoint.side)) return std::nullopt;
  if (!parse_channel(take_until(text, ','), endpoint.channel)) return std::nullopt;
  if (!is_endpoint_name(text)) return std::nullopt;
  endpoint.name = text;
  return endpoint;
}

// A descriptor that stood twice would be closed twice, a name that stood twice could not be asked for.
bool all_different(std::span<const EndpointText> endpoints) {
  std::vector<int> descriptors;
  std::vector<std::string_view> names;
  for (const EndpointText& each : endpoints) {
    descriptors.push_back(each.segment);
    descriptors.push_back(each.socket);
    names.emplace_back(each.name);
  }
  std::sort(descriptors.begin(), descriptors.end());
  std::sort(names.begin(), names.end());
  return std::adjacent_find(descriptors.begin(), descriptors.end()) == descriptors.end() &&
         std::adjacent_find(names.begin(), names.end()) == names.end();
}

void append_endpoint(std::string& text, const EndpointText& endpoint) {
  text.append(std::to_string(endpoint.segment)).append(1, ',');
  text.append(std::to_string(endpoint.socket)).append(1, ',');
  text.append(std::to_string(endpoint.expected_generation)).append(1, ',');
  text.append(endpoint.side == Side::a ? "a," : "b,");
  for (const std::byte byte : endpoint.channel) {
    const auto value = std::to_integer<std::size_t>(byte);
    text.append(1, kHexDigits[value / 16]).append(1, kHexDigits[value % 16]);
  }
  text.append(1, ',').append(endpoint.name);
}

}  // namespace

bool is_endpoint_name(std::string_view name) noexcept {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@+";
  return !name.empty() && name.size() <= kMaxNameBytes &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string format_endpoints(std::span<const EndpointText> endpoints) {
  std::string text(kVersion);
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (i != 0) text.append(1, ';');
    append_endpoint(text, endpoints[i]);
  }
  return text;
}

std::optional<std::vector<EndpointText>> parse_endpoints(std::string_view text) {
  if (!text.starts_with(kVersion)) return std::nullopt;
  std::vector<EndpointText> endpoints;
  std::string_view rest = text.substr(kVersion.size());
  while (!rest.empty()) {
    if (endpoints.size() == kMaxTextEndpoints) return std::nullopt;
    const std::optional<std::string_view> field = take_until(rest, ';');
    std::optional<EndpointText> endpoint = parse_endpoint(field ? *field : rest);
    if (!endpoint) return std::nullopt;
    endpoints.push_back(std::move(*endpoint));
    if (!field) break;
  }
  if (!all_different(endpoints) || format_endpoints(endpoints) != text) return std::nullopt;
  return endpoints;
}

}  // namespace portolan::wire
