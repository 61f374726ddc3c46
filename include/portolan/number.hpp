// SPDX-License-Identifier: Apache-2.0

// How one arithmetic value is written: little-endian, with a width that does not depend on the compiler.
// `long` is 8 bytes, `wchar_t` 4, `bool` 1, and `long double` the 16 bytes of IEEE binary128, so that x87 and
// ARM understand each other. Enumerators are written as their underlying type.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <portolan/encoding.hpp>

namespace portolan {
inline namespace v1 {

static_assert(std::endian::native == std::endian::little,
              "the encoding is little-endian, and so must be the machine");
static_assert(sizeof(long) == 8 && sizeof(wchar_t) == 4, "the encoding's widths are those of 64-bit Linux");

/// An arithmetic type or an enumeration.
template <class T>
concept Number = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// What kind of number a message of Format::number holds: the high half of its first byte.
enum class NumberClass : std::uint8_t { boolean = 1, signed_integer, unsigned_integer, floating, character };

/// The first byte of a message of Format::number: the class, and the binary logarithm of the width in bytes.
/// `long` and `long long` are the same kind, `int` and `long` are not; `char` is a character, `signed char`
/// an integer.
template <Number T>
consteval std::byte number_kind() {
  if constexpr (std::is_enum_v<T>) {
    return number_kind<std::underlying_type_t<T>>();
  } else {
    NumberClass number_class =
        std::is_signed_v<T> ? NumberClass::signed_integer : NumberClass::unsigned_integer;
    if (std::is_same_v<T, bool>) number_class = NumberClass::boolean;
    if (std::is_floating_point_v<T>) number_class = NumberClass::floating;
    if (std::is_same_v<T, char> || std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> ||
        std::is_same_v<T, char32_t> || std::is_same_v<T, wchar_t>) {
      number_class = NumberClass::character;
    }
    return static_cast<std::byte>(static_cast<unsigned>(number_class) << 4 | (std::bit_width(sizeof(T)) - 1));
  }
}

/// Whether an array of T in memory is what writing its elements one by one gives, and every such array of
/// bytes is an array of T: then arrays are copied whole. Not so for `bool`, of which only 0 and 1 are valid.
template <class T>
constexpr bool is_written_as_memory() {
  if constexpr (std::is_enum_v<T>) {
    return is_written_as_memory<std::underlying_type_t<T>>();
  } else {
    return std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, long double>;
  }
}

/// `long double` as IEEE binary128. Exact from x87's 80 bits; the other way the last 49 bits of the fraction
/// are cut off.
struct Binary128 {
  std::uint64_t low;
  std::uint64_t high;  // sign, 15 bits of exponent, the upper 48 bits of the fraction
};

inline Binary128 to_binary128(long double value) {
  static_assert(
      std::numeric_limits<long double>::digits == 64 || std::numeric_limits<long double>::digits == 113,
      "long double is neither x87's nor IEEE binary128");
  Binary128 wide;
  if constexpr (std::numeric_limits<long double>::digits == 113) {
    std::memcpy(&wide, &value, sizeof wide);
  } else {
    std::uint64_t mantissa = 0;  // with its leading 1 spelled out, which binary128 leaves away
    std::uint16_t sign_and_exponent = 0;
    std::memcpy(&mantissa, &value, sizeof mantissa);
    std::memcpy(&sign_and_exponent, reinterpret_cast<const std::byte*>(&value) + 8, sizeof sign_and_exponent);
    const std::uint64_t fraction = mantissa & ~(std::uint64_t{1} << 63);
    wide.low = fraction << 49;
    wide.high = std::uint64_t{sign_and_exponent} << 48 | fraction >> 15;
  }
  return wide;
}

inline long double from_binary128(Binary128 wide) {
  long double value = 0;
  if constexpr (std::numeric_limits<long double>::digits == 113) {
    std::memcpy(&value, &wide, sizeof wide);
  } else {
    const auto sign_and_exponent = static_cast<std::uint16_t>(wide.high >> 48);
    std::uint64_t mantissa = (wide.high & 0xFFFF'FFFF'FFFF) << 15 | wide.low >> 49;
    if ((sign_and_exponent & 0x7FFF) != 0) mantissa |= std::uint64_t{1} << 63;
    std::memcpy(&value, &mantissa, sizeof mantissa);
    std::memcpy(reinterpret_cast<std::byte*>(&value) + 8, &sign_and_exponent, sizeof sign_and_exponent);
  }
  return value;
}

template <Number T>
void write_number(Sink& sink, T value) {
  if constexpr (std::is_same_v<T, long double>) {
    const Binary128 wide = to_binary128(value);
    sink.write(&wide, sizeof wide);
  } else {
    sink.write(&value, sizeof value);
  }
}

/// A whole message of Format::number: its kind, then its bytes.
template <Number T>
std::array<std::byte, 1 + sizeof(T)> number_message(T value) {
  std::array<std::byte, 1 + sizeof(T)> message;
  message[0] = number_kind<T>();
  if constexpr (std::is_same_v<T, long double>) {
    const Binary128 wide = to_binary128(value);
    static_assert(sizeof wide == sizeof value);
    std::memcpy(&message[1], &wide, sizeof wide);
  } else {
    std::memcpy(&message[1], &value, sizeof value);
  }
  return message;
}

/// Throws DataCloneError if too few bytes are left, or for a `bool` that is neither 0 nor 1. An enumeration
/// gets whatever its underlying type can hold: a switch over it needs a default.
template <Number T>
T read_number(Source& source) {
  if constexpr (std::is_same_v<T, long double>) {
    Binary128 wide;
    source.read(&wide, sizeof wide);
    return from_binary128(wide);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto byte = std::to_integer<unsigned>(*source.take(1));
    if (byte > 1) refuse_value("value: a bool that is neither 0 nor 1");
    return byte == 1;
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(read_number<std::underlying_type_t<T>>(source));
  } else {
    T value;
    source.read(&value, sizeof value);
    return value;
  }
}

}  // namespace v1
}  // namespace portolan
