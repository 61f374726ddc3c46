// SPDX-License-Identifier: Apache-2.0

// A value whose shape is only known at run time, for peers in other languages: what JSON has, and integers of
// 64 bits, bytes, dates, maps with any simple key, and ports. It travels as CBOR (RFC 8949) in
// Format::cbor; docs/values.md says what is written and what is read. Needs no Boost.
//
//   port.post_message(Value::map({{"scene", "harbour"}, {"lines", Value::array(10, 20)}, {"reply",
//   std::move(reply)}})); const Value job = event.data<Value>(); render(job.at("scene").as_string(),
//   job.at("lines").at(0).as_integer<int>());
#pragma once

#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <portolan/codec.hpp>
#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// What CBOR calls an integer: from -2^64 to 2^64 - 1. It stands for magnitude, or for -1 - magnitude.
struct CborInteger {
  std::uint64_t magnitude = 0;
  bool negative = false;

  bool operator==(const CborInteger&) const = default;
};

/// Integers that are meant as numbers: no characters, no bool.
template <class T>
concept ValueInteger =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// Move-only, since a port may be in it. A moved-from Value holds something, nobody says what. Threads: as
/// the standard library's containers. The as_ functions throw DataCloneError, which names both kinds, if the
/// value is of another kind: on_message<Value> need not check what a peer of another language sent before it
/// asks.
class PORTOLAN_API Value {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, number, string, bytes, date, array, map, port };

  using Bytes = std::vector<std::byte>;
  /// Milliseconds since 1970, as on the Web; within kDateLimit of it, which is some 35,000 years.
  using Date = std::chrono::sys_time<std::chrono::milliseconds>;
  using Array = std::vector<Value>;

  using Map = std::map<Value, Value>;

  struct Entry;

  /// How deep arrays and maps may be nested in each other where a Value is written or read.
  static constexpr std::size_t kDepthLimit = 1000;
  static constexpr std::chrono::milliseconds kDateLimit{std::int64_t{1} << 50};

  Value() noexcept;  ///< null
  Value(std::nullptr_t) noexcept;
  template <std::same_as<bool> Boolean>
  Value(Boolean boolean) noexcept : held_(std::in_place_type<bool>, boolean) {}
  template <ValueInteger Integer>
  Value(Integer integer) noexcept : held_(to_integer(integer)) {}
  Value(CborInteger integer) noexcept;
  Value(double number) noexcept;
  Value(float number) noexcept;
  Value(const char* string);
  Value(std::string_view string);
  Value(std::string string) noexcept;  ///< UTF-8, which is checked where it is written
  Value(Bytes bytes) noexcept;
  Value(std::span<const std::byte> bytes);
  Value(Array array) noexcept;
  Value(Map map);
  Value(MessagePort port) noexcept;
  /// Parts of a millisecond are dropped, towards the past.
  template <class Duration>
  Value(std::chrono::sys_time<Duration> date) noexcept
      : held_(std::chrono::floor<std::chrono::milliseconds>(date)) {}

  Value(Value&&) noexcept;
  Value& operator=(Value&&) noexcept;
  ~Value();

  /// Value::array(1, "two", std::move(port)): each element is made from one argument.
  template <class... T>
  [[nodiscard]] static Value array(T&&... element) {
    Array elements;
    elements.reserve(sizeof...(T));
    (elements.emplace_back(std::forward<T>(element)), ...);
    return elements;
  }
  /// Value::map({{"name", "x"}, {"size", 5}}). Of equal keys the last one counts.
  [[nodiscard]] static Value map(std::initializer_list<Entry> entries);

  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(held_.index()); }
  [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::null; }

  [[nodiscard]] bool as_bool() const;
  /// Throws DataCloneError as well if the integer does not fit into a T.
  template <ValueInteger T = std::int64_t>
  [[nodiscard]] T as_integer() const;
  [[nodiscard]] const CborInteger& as_cbor_integer() const;
  /// Of an integer, too, if it is within 2^53 of 0: JavaScript has one kind of number and writes 1.0 as 1.
  [[nodiscard]] double as_double() const;
  [[nodiscard]] Date as_date() const;
  [[nodiscard]] const std::string& as_string() const&;
  [[nodiscard]] std::string& as_string() &;
  [[nodiscard]] std::string as_string() &&;
  [[nodiscard]] const Bytes& as_bytes() const&;
  [[nodiscard]] Bytes& as_bytes() &;
  [[nodiscard]] Bytes as_bytes() &&;
  [[nodiscard]] const Array& as_array() const&;
  [[nodiscard]] Array& as_array() &;
  [[nodiscard]] Array as_array() &&;
  [[nodiscard]] const Map& as_map() const&;
  [[nodiscard]] Map& as_map() &;
  [[nodiscard]] Map as_map() &&;
  [[nodiscard]] MessagePort& as_port() &;
  [[nodiscard]] MessagePort as_port() &&;

  /// Elements of an array, entries of a map; DataCloneError for anything else.
  [[nodiscard]] std::size_t size() const;
  /// What the map has for `key`, null if it has nothing; DataCloneError if this is no map.
  [[nodiscard]] const Value* find(const Value& key) const;
  [[nodiscard]] Value* find(const Value& key);
  /// The same, but DataCloneError if there is nothing.
  [[nodiscard]] const Value& at(std::string_view key) const;
  [[nodiscard]] Value& at(std::string_view key);
  /// DataCloneError if this is no array, or has no such element.
  [[nodiscard]] const Value& at(std::size_t index) const;
  [[nodiscard]] Value& at(std::size_t index);

  /// The payload of a message with this value, for other ways to a peer. Throws DataCloneError for what
  /// post_message refuses, and for a port, which only a message can take along.
  [[nodiscard]] Bytes to_cbor() const;
  /// What a program of any language has written as one CBOR item; from anybody, as it is checked as a foreign
  /// peer's message is. Throws DataCloneError.
  [[nodiscard]] static Value from_cbor(std::span<const std::byte> cbor);

  /// A total order over all values: by kind, then by content, strings by their bytes. Values are equal if
  /// they are written as the same bytes: so a NaN equals itself, and 0.0 equals neither -0.0 nor the integer
  /// 0. A port equals only itself.
  friend PORTOLAN_API std::strong_ordering operator<=>(const Value& left, const Value& right) noexcept;
  friend bool operator==(const Value& left, const Value& right) noexcept { return (left <=> right) == 0; }

 private:
  template <ValueInteger T>
  static constexpr CborInteger to_integer(T integer) noexcept {
    if constexpr (std::is_signed_v<T>) {
      if (integer < 0) return {~static_cast<std::uint64_t>(integer), true};
    }
    return {static_cast<std::uint64_t>(integer), false};
  }
  [[noreturn]] static void refuse_integer();

  // In the order of Kind. The map is behind a pointer because std::map, unlike std::vector, wants a complete
  // Value.
  std::variant<std::monostate, bool, CborInteger, double, std::string, Bytes, Date, Array,
               std::unique_ptr<Map>, MessagePort>
      held_;
};

/// One entry of Value::map(); mutable, because an initializer list is constant and ports want to move out of
/// it.
struct Value::Entry {
  Entry(Value entry_key, Value entry_value) : key(std::move(entry_key)), value(std::move(entry_value)) {}
  mutable Value key;
  mutable Value value;
};

/// "null", "boolean", ...
PORTOLAN_API std::string_view name_of(Value::Kind) noexcept;

template <ValueInteger T>
T Value::as_integer() const {
  const CborInteger& held = as_cbor_integer();
  if (held.negative) {
    if constexpr (std::is_signed_v<T>) {
      if (held.magnitude <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
        return static_cast<T>(-1 - static_cast<T>(held.magnitude));
    }
    refuse_integer();
  }
  if (held.magnitude > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) refuse_integer();
  return static_cast<T>(held.magnitude);
}

/// Inside another value it is written as its length and its bytes, as every codec's.
template <>
struct PORTOLAN_API codec<Value> {
  static void write(const Value& value, Sink& sink, Ownership ports);
  static Value read(Source& source);
};

}  // namespace v1
}  // namespace portolan
