// SPDX-License-Identifier: Apache-2.0

// Posting and reading any type with a Boost.Serialization `serialize`, and the standard library's types:
// include this where such values are posted or read. It needs Boost's headers; its library only for
// polymorphic base classes. The encoding, what it costs and what is refused from whom stand in
// docs/values.md.
#pragma once

#include <portolan/value_forms.hpp>
#include <portolan/value_head.hpp>
#include <portolan/value_pointers.hpp>
#include <portolan/value_reader.hpp>
#include <portolan/value_transferables.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// A message of Format::value: its head, then the value.
template <class T>
struct ValueEncoding {
  static void write(const T& value, Sink& sink, Ownership ports) {
    sink.set_type(type_identity<T>);
    ValueWriter::write_whole(value_head<T>, value, sink, ports);
  }

  static T read(Source& source) {
    static_assert(std::is_default_constructible_v<T>, "a value is first made, then read");
    require_head<T>(source);
    T value{};
    ValueReader::read_whole(source, value);
    return value;
  }
};

}  // namespace v1
}  // namespace portolan
