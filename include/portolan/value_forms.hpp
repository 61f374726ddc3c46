// SPDX-License-Identifier: Apache-2.0

// How the rest of the standard library, Boost.Serialization's wrappers and ports are written inside a value.
#pragma once

#include <chrono>
#include <complex>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include <portolan/value_collections.hpp>

namespace portolan {
inline namespace v1 {

template <class First, class Second>
struct ValueForm<std::pair<First, Second>> {
  static void write(ValueWriter& writer, const std::pair<First, Second>& pair) {
    writer << pair.first << pair.second;
  }
  static void read(ValueReader& reader, std::pair<First, Second>& pair) {
    reader >> pair.first >> pair.second;
  }
};

template <class... T>
struct ValueForm<std::tuple<T...>> {
  static void write(ValueWriter& writer, const std::tuple<T...>& tuple) {
    std::apply([&](const auto&... element) { (void)(writer << ... << element); }, tuple);
  }
  static void read(ValueReader& reader, std::tuple<T...>& tuple) {
    std::apply([&](auto&... element) { (void)(reader >> ... >> element); }, tuple);
  }
};

/// One byte, 1 or 0; after a 1 the value.
template <class T>
struct ValueForm<std::optional<T>> {
  static void write(ValueWriter& writer, const std::optional<T>& optional) {
    writer << optional.has_value();
    if (optional) writer << *optional;
  }
  static void read(ValueReader& reader, std::optional<T>& optional) {
    optional.reset();
    if (reader.number<bool>()) reader >> optional.emplace();
  }
};

template <>
struct ValueForm<std::monostate> {
  static void write(ValueWriter&, std::monostate) {}
  static void read(ValueReader&, std::monostate&) {}
};

/// The index of the alternative, then the alternative.
template <class... T>
struct ValueForm<std::variant<T...>> {
  static void write(ValueWriter& writer, const std::variant<T...>& variant) {
    if (variant.valueless_by_exception()) refuse_value("value: a std::variant without a value");
    writer.write_count(variant.index());
    std::visit([&](const auto& alternative) { writer << alternative; }, variant);
  }
  static void read(ValueReader& reader, std::variant<T...>& variant) {
    const std::uint64_t index = reader.read_count();
    if (index >= sizeof...(T)) refuse_value("value: a std::variant without such an alternative");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (void)((I == index && (reader >> variant.template emplace<I>(), true)) || ...);
    }
    (std::index_sequence_for<T...>());
  }
};

/// The number of ticks. The period is not written: it is the type's.
template <class Rep, class Period>
struct ValueForm<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static void write(ValueWriter& writer, const Duration& duration) { writer << duration.count(); }
  static void read(ValueReader& reader, Duration& duration) {
    Rep ticks{};
    reader >> ticks;
    duration = Duration(ticks);
  }
};

/// The duration since the clock's epoch. Clocks whose epoch differs between processes are the user's
/// business.
template <class Clock, class Duration>
struct ValueForm<std::chrono::time_point<Clock, Duration>> {
  using Point = std::chrono::time_point<Clock, Duration>;
  static void write(ValueWriter& writer, const Point& point) { writer << point.time_since_epoch(); }
  static void read(ValueReader& reader, Point& point) {
    Duration since_epoch{};
    reader >> since_epoch;
    point = Point(since_epoch);
  }
};

/// The native string.
template <>
struct ValueForm<std::filesystem::path> {
  static void write(ValueWriter& writer, const std::filesystem::path& path) { writer << path.native(); }
  static void read(ValueReader& reader, std::filesystem::path& path) {
    std::string native;
    reader >> native;
    path = std::move(native);
  }
};

template <class T>
struct ValueForm<std::complex<T>> {
  static void write(ValueWriter& writer, const std::complex<T>& number) {
    writer << number.real() << number.imag();
  }
  static void read(ValueReader& reader, std::complex<T>& number) {
    T real{}, imaginary{};
    reader >> real >> imaginary;
    number = {real, imaginary};
  }
};

template <class T, std::size_t N>
struct ValueForm<std::span<T, N>> {
  static_assert(sizeof(T) == 0, "a std::span inside a value has no owner where it is read: use std::vector");
};
template <class C, class Traits>
struct ValueForm<std::basic_string_view<C, Traits>> {
  static_assert(sizeof(C) == 0,
                "a string view inside a value has no owner where it is read: use std::string");
};

/// The index of the port among the message's ports. A port goes along by the rules of Sink::attach.
template <>
struct ValueForm<MessagePort> {
  static void write(ValueWriter& writer, const MessagePort& port) {
    // The sink detaches only what was posted as an rvalue or stands, as non-const, in the transfer list.
    writer.attach(const_cast<MessagePort&>(port));
  }
  static void read(ValueReader& reader, MessagePort& port) {
    reader.state().source.take_port(reader.read_index(), port);
  }
};

/// The value; names are for archives that show them.
template <class T>
struct ValueForm<boost::serialization::nvp<T>> {
  static void write(ValueWriter& writer, const boost::serialization::nvp<T>& pair) {
    writer << pair.const_value();
  }
  static void read(ValueReader& reader, const boost::serialization::nvp<T>& pair) { reader >> pair.value(); }
};

/// The elements; their number is known to both sides.
template <class T>
struct ValueForm<boost::serialization::array_wrapper<T>> {
  using Wrapper = boost::serialization::array_wrapper<T>;
  static void write(ValueWriter& writer, const Wrapper& array) {
    writer.write_elements(array.address(), array.count());
  }
  static void read(ValueReader& reader, const Wrapper& array) {
    reader.read_elements(array.address(), array.count());
  }
};

template <>
struct ValueForm<boost::serialization::binary_object> {
  using Wrapper = boost::serialization::binary_object;
  static void write(ValueWriter& writer, const Wrapper& object) {
    writer.save_binary(object.m_t, object.m_size);
  }
  static void read(ValueReader& reader, const Wrapper& object) {
    reader.load_binary(const_cast<void*>(object.m_t), object.m_size);
  }
};

/// What users' own collections write before their elements.
template <>
struct ValueForm<boost::serialization::collection_size_type> {
  using Count = boost::serialization::collection_size_type;
  static void write(ValueWriter& writer, const Count& count) { writer.write_count(count); }
  static void read(ValueReader& reader, Count& count) { count = Count(reader.read_size()); }
};

template <>
struct ValueForm<boost::serialization::item_version_type> {
  using Version = boost::serialization::item_version_type;
  static void write(ValueWriter& writer, const Version& version) { writer.write_count(version); }
  static void read(ValueReader& reader, Version& version) {
    const std::uint64_t count = reader.read_count();
    if (count > UINT32_MAX) refuse_value("value: an absurd version");
    version = Version(static_cast<unsigned>(count));
  }
};

}  // namespace v1
}  // namespace portolan
