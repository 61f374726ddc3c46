// SPDX-License-Identifier: Apache-2.0

// What is written how. The first rule that matches decides, at compile time and the same way in every
// program:
//   portolan::Value: cbor | a contiguous range of std::byte: bytes | convertible to a (u8)string_view: text |
//   codec<T>: custom | arithmetic or enumeration: number | is_plain<T>, unless it has a `serialize`: plain |
//   else: value
// All but the last need no Boost. Format::value is the encoding of <portolan/values.hpp>, which must be
// included.
#pragma once

#include <array>
#include <concepts>
#include <exception>
#include <span>
#include <string_view>
#include <type_traits>

#include <portolan/encoding.hpp>
#include <portolan/lane/payload_copy.hpp>
#include <portolan/number.hpp>

namespace portolan {
inline namespace v1 {

/// A format of the user's own for T (protobuf, flatbuffers, ...). Specialise it with two static functions:
///   static void write(const T&, Sink&);   // appends; what it throws reaches the caller of post_message
///   static T read(Source&);               // must take all bytes that are left; any std::exception refuses
///   the message
/// A T with ports in it takes a third argument, `Ownership ports`, for write() to pass on to Sink::attach.
template <class T>
struct codec;

class Value;  // <portolan/value.hpp>

/// Specialise as true for a type whose memory may be copied to a peer as it is. Say so only if it has no
/// pointers or views, no padding (its bytes would show the sender's memory), and no bit pattern that is not a
/// value of it (bool, enumerations): the reader gets whatever the peer wrote.
template <class T>
inline constexpr bool is_plain = false;

/// How Format::value is written; defined in <portolan/values.hpp>.
template <class T>
struct ValueEncoding;

template <class T>
concept ByteRange = std::convertible_to<const T&, std::span<const std::byte>>;

template <class T>
concept TextLike = !std::same_as<T, std::nullptr_t> && (std::convertible_to<const T&, std::string_view> ||
                                                        std::convertible_to<const T&, std::u8string_view>);

template <class T>
concept Coded = requires {
  sizeof(codec<T>);
};

/// Stands for an archive where only the presence of a `serialize` is asked.
struct AnyArchive;

template <class T>
concept Plain = is_plain<T> && !requires(T & object, AnyArchive& archive) {
  object.serialize(archive, 0U);
};

/// The rules of the head of this file.
template <class T>
consteval Format format_of() {
  if constexpr (std::same_as<T, Value>) {
    return Format::cbor;
  } else if constexpr (ByteRange<T>) {
    return Format::bytes;
  } else if constexpr (TextLike<T>) {
    return Format::text;
  } else if constexpr (Coded<T>) {
    return Format::custom;
  } else if constexpr (Number<T>) {
    return Format::number;
  } else if constexpr (Plain<T>) {
    static_assert(std::is_trivially_copyable_v<T>, "is_plain<T> is only for trivially copyable types");
    return Format::plain;
  } else {
    static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::same_as<T, std::nullptr_t>,
                  "a raw pointer means nothing in another process: post what it points to");
    static_assert(!std::is_function_v<T>, "a function means nothing in another process");
    return Format::value;
  }
}

/// The payload of a value of Format::bytes or Format::text, in place.
template <class T>
requires(ByteRange<T> || TextLike<T>) std::span<const std::byte> flat_bytes(const T& value) {
  if constexpr (ByteRange<T>) {
    return value;
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    return std::as_bytes(std::span(static_cast<std::string_view>(value)));
  } else {
    return std::as_bytes(std::span(static_cast<std::u8string_view>(value)));
  }
}

/// Writes what codec<T> makes of `value`.
template <Coded T>
void write_coded(const T& value, Sink& sink, Ownership ports) {
  if constexpr (requires { codec<T>::write(value, sink, ports); }) {
    codec<T>::write(value, sink, ports);
  } else {
    codec<T>::write(value, sink);
  }
}

/// Writes `value` as format_of<T>() says. Ports inside it move if it is a non-const rvalue, else they must be
/// listed; `value` itself is read only. Throws what the sink, the codec or a `serialize` throws.
template <class Given>
void encode(Given&& value, Sink& sink) {
  using T = std::remove_cvref_t<Given>;
  constexpr Format kFormat = format_of<T>();
  constexpr bool kMoves = !std::is_lvalue_reference_v<Given> && !std::is_const_v<Given>;
  [[maybe_unused]] constexpr Ownership kPorts = kMoves ? Ownership::moved : Ownership::must_be_listed;
  if constexpr (kFormat == Format::bytes || kFormat == Format::text) {
    const std::span<const std::byte> payload = flat_bytes(value);
    sink.write(payload.data(), payload.size());
  } else if constexpr (kFormat == Format::custom || kFormat == Format::cbor) {
    write_coded<T>(value, sink, kPorts);
  } else if constexpr (kFormat == Format::number) {
    const auto message = number_message<T>(value);
    sink.write(message.data(), message.size());
  } else if constexpr (kFormat == Format::plain) {
    sink.write(&value, sizeof value);
  } else {
    static_assert(
        requires { sizeof(ValueEncoding<T>); }, "posting this type needs #include <portolan/values.hpp>");
    ValueEncoding<T>::write(value, sink, kPorts);
  }
}

/// Throws DataCloneError if the message does not hold what format_of<T>() says.
PORTOLAN_API void require_format(Source& source, Format wanted);

/// Throws DataCloneError if bytes are left over: the message is of another type.
PORTOLAN_API void require_end(const Source& source);

/// Throws DataCloneError if the message holds a number of another kind.
PORTOLAN_API void require_number_kind(Source& source, std::byte wanted);

/// Within a handler of std::exception: throws DataCloneError with the exception's text, or again what is one
/// already.
[[noreturn]] PORTOLAN_API void refuse_current_exception();

/// An owner of bytes or text, made from a payload.
template <class T>
T copy_flat(Source& source) {
  static_assert(!std::is_array_v<T>, "read it as a std::array, a std::vector or a std::string");
  const std::size_t count = source.left();
  const auto* const first = source.take(count);
  if constexpr (ByteRange<T> && requires { std::tuple_size<T>::value; }) {
    T bytes;
    if (count != bytes.size()) refuse_value("value: another number of bytes than the std::array asked for");
    lane::copy_payload(bytes.data(), first, count);
    return bytes;
  } else {
    static_assert(!std::is_trivially_copyable_v<T>,
                  "a view would outlive the message: use bytes() or text(), or ask for an owning type");
    if constexpr (ByteRange<T>) {
      return T(first, first + count);
    } else {
      const char* const text = reinterpret_cast<const char*>(first);
      return T(text, text + count);
    }
  }
}

/// Reads a whole message as T. Throws DataCloneError if it holds anything else, and then has taken nothing
/// that matters: the message can be read again from a new Source.
template <class T>
T decode(Source& source) {
  constexpr Format kFormat = format_of<T>();
  if constexpr (kFormat != Format::value) require_format(source, kFormat);
  if constexpr (kFormat == Format::bytes || kFormat == Format::text) {
    return copy_flat<T>(source);
  } else if constexpr (kFormat == Format::number) {
    require_number_kind(source, number_kind<T>());
    const T value = read_number<T>(source);
    require_end(source);
    return value;
  } else if constexpr (kFormat == Format::plain) {
    T value;
    source.read(&value, sizeof value);
    require_end(source);
    return value;
  } else {
    try {
      T value = [&] {
        if constexpr (kFormat == Format::custom || kFormat == Format::cbor) {
          return codec<T>::read(source);
        } else {
          static_assert(
              requires { sizeof(ValueEncoding<T>); },
              "reading this type needs #include <portolan/values.hpp>");
          return ValueEncoding<T>::read(source);
        }
      }();
      require_end(source);
      return value;
    } catch (const std::exception&) {
      refuse_current_exception();
    }
  }
}

}  // namespace v1
}  // namespace portolan
