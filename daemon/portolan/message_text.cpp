// SPDX-License-Identifier: Apache-2.0

#include "message_text.hpp"

#include <cstring>
#include <fmt/core.h>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utf8cpp/utf8/checked.h>
#include <utf8cpp/utf8/core.h>

#include <portolan/error.hpp>
#include <portolan/number.hpp>
#include <portolan/value.hpp>

namespace command {
namespace {

using portolan::Format;
using portolan::NumberClass;
using portolan::Value;
using Bytes = std::span<const std::byte>;

std::string hexadecimal(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

bool is_text(std::string_view text) {
  for (const char letter : text)
    if (static_cast<unsigned char>(letter) < 0x20 && letter != '\n' && letter != '\t' && letter != '\r')
      return false;
  return utf8::is_valid(text.begin(), text.end());
}

std::string one_line(std::string_view text) {
  std::string line;
  for (auto at = text.begin(); at != text.end();) {
    std::uint32_t letter = '?';
    const auto begin = at;
    try {
      letter = utf8::next(at, text.end());
    } catch (const utf8::exception&) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(*begin));
      at = begin + 1;
      continue;
    }
    if (letter == '\n')
      line += "\\n";
    else if (letter == '\t')
      line += '\t';
    else if (letter < 0x20 || (letter >= 0x7f && letter < 0xa0))
      line += fmt::format("\\x{:02x}", letter);
    else
      line.append(begin, at);
  }
  return line;
}

template <class T>
std::string plain_number(Bytes digits) {
  T value{};
  std::memcpy(&value, digits.data(), sizeof value);
  if constexpr (std::is_same_v<T, char>)
    return one_line({&value, 1});
  else
    return fmt::format("{}", value);
}

std::string number_text(Bytes payload) {
  if (payload.size() < 2) return hexadecimal(payload);
  const auto kind = std::to_integer<unsigned>(payload.front());
  const Bytes digits = payload.subspan(1);
  const std::size_t width = std::size_t{1} << (kind & 0xf);
  if (width != digits.size()) return hexadecimal(payload);
  const auto is = [&](NumberClass wanted, std::size_t bytes) {
    return kind >> 4 == static_cast<unsigned>(wanted) && width == bytes;
  };
  if (is(NumberClass::boolean, 1)) return digits[0] == std::byte{0} ? "false" : "true";
  if (is(NumberClass::signed_integer, 1))
    return fmt::format("{}", static_cast<int>(static_cast<signed char>(digits[0])));
  if (is(NumberClass::signed_integer, 2)) return plain_number<std::int16_t>(digits);
  if (is(NumberClass::signed_integer, 4)) return plain_number<std::int32_t>(digits);
  if (is(NumberClass::signed_integer, 8)) return plain_number<std::int64_t>(digits);
  if (is(NumberClass::unsigned_integer, 1)) return fmt::format("{}", std::to_integer<unsigned>(digits[0]));
  if (is(NumberClass::unsigned_integer, 2)) return plain_number<std::uint16_t>(digits);
  if (is(NumberClass::unsigned_integer, 4)) return plain_number<std::uint32_t>(digits);
  if (is(NumberClass::unsigned_integer, 8)) return plain_number<std::uint64_t>(digits);
  if (is(NumberClass::floating, 4)) return plain_number<float>(digits);
  if (is(NumberClass::floating, 8)) return plain_number<double>(digits);
  if (is(NumberClass::character, 1)) return plain_number<char>(digits);
  if (is(NumberClass::character, 2))
    return fmt::format("U+{:04X}", std::stoul(plain_number<std::uint16_t>(digits)));
  if (is(NumberClass::character, 4))
    return fmt::format("U+{:04X}", std::stoul(plain_number<std::uint32_t>(digits)));
  return hexadecimal(payload);
}

std::string quoted(const std::string& text) {
  std::string inside;
  for (const char letter : one_line(text)) {
    if (letter == '"') inside += '\\';
    inside += letter;
  }
  return '"' + inside + '"';
}

// RFC 8949, section 8, as far as a Value can be.
std::string diagnostic(const Value& value) {
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return value.as_bool() ? "true" : "false";
    case Kind::integer: {
      const portolan::CborInteger integer = value.as_cbor_integer();
      if (!integer.negative) return fmt::format("{}", integer.magnitude);
      return integer.magnitude == ~std::uint64_t{0} ? "-18446744073709551616"
                                                    : fmt::format("-{}", integer.magnitude + 1);
    }
    case Kind::number:
      return fmt::format("{:#}", value.as_double());
    case Kind::string:
      return quoted(value.as_string());
    case Kind::bytes:
      return "h'" + hexadecimal(value.as_bytes()) + "'";
    case Kind::date:
      return fmt::format("1({:#})", static_cast<double>(value.as_date().time_since_epoch().count()) / 1000);
    case Kind::array: {
      std::string text;
      for (const Value& element : value.as_array()) text += (text.empty() ? "" : ", ") + diagnostic(element);
      return "[" + text + "]";
    }
    case Kind::map: {
      std::string text;
      for (const auto& [key, element] : value.as_map())
        text += (text.empty() ? "" : ", ") + diagnostic(key) + ": " + diagnostic(element);
      return "{" + text + "}";
    }
    case Kind::port:
      return "a port";
  }
  return "?";
}

std::string cbor_text(Bytes payload) {
  try {
    return diagnostic(Value::from_cbor(payload));
  } catch (const portolan::DataCloneError&) {
    return "h'" + hexadecimal(payload) + "'";  // it has ports, or is not whole
  }
}

}  // namespace

std::string message_text(Format format, Bytes payload) {
  const std::string_view letters(reinterpret_cast<const char*>(payload.data()), payload.size());
  switch (format) {
    case Format::text:
    case Format::refusal:
      return one_line(letters);
    case Format::bytes:
      return is_text(letters) ? one_line(letters) : hexadecimal(payload);
    case Format::number:
      return number_text(payload);
    case Format::cbor:
      return cbor_text(payload);
    case Format::plain:
    case Format::custom:
    case Format::value:
      break;
  }
  return hexadecimal(payload);
}

}  // namespace command
