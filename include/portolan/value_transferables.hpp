// SPDX-License-Identifier: Apache-2.0

// Buffers, views and descriptors inside a value: each is written as its index among those of its kind that go
// with the message.
#pragma once

#include <cstdint>

#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// Throws DataCloneError for an index that no message has.
inline std::uint32_t read_transferable_index(ValueReader& reader) {
  const std::uint64_t index = reader.read_count();
  if (index > UINT32_MAX) refuse_value("value: a buffer or descriptor with an absurd index");
  return static_cast<std::uint32_t>(index);
}

/// Goes along by the rules of Sink::attach.
template <>
struct ValueForm<SharedBuffer> {
  static void write(ValueWriter& writer, const SharedBuffer& buffer) {
    // The sink detaches only what was posted as an rvalue or stands, as non-const, in the transfer list.
    writer.write_count(writer.sink().attach(const_cast<SharedBuffer&>(buffer), writer.ports()));
  }
  static void read(ValueReader& reader, SharedBuffer& buffer) {
    reader.source().take_buffer(read_transferable_index(reader), buffer);
  }
};

/// Goes along by the rules of Sink::attach.
template <>
struct ValueForm<FileDescriptor> {
  static void write(ValueWriter& writer, const FileDescriptor& descriptor) {
    writer.write_count(writer.sink().attach(const_cast<FileDescriptor&>(descriptor), writer.ports()));
  }
  static void read(ValueReader& reader, FileDescriptor& descriptor) {
    reader.source().take_descriptor(read_transferable_index(reader), descriptor);
  }
};

/// Copied: goes along however the value is posted, and stays.
template <>
struct ValueForm<BufferView> {
  static void write(ValueWriter& writer, const BufferView& view) {
    writer.write_count(writer.sink().attach(view));
  }
  static void read(ValueReader& reader, BufferView& view) {
    reader.source().take_view(read_transferable_index(reader), view);
  }
};

}  // namespace v1
}  // namespace portolan
