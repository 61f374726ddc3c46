// SPDX-License-Identifier: Apache-2.0

// Buffers, views and descriptors inside a value: each is written as its index among those of its kind that go
// with the message.
#pragma once

#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// Goes along by the rules of Sink::attach.
template <>
struct ValueForm<SharedBuffer> {
  static void write(ValueWriter& writer, const SharedBuffer& buffer) {
    // The sink detaches only what was posted as an rvalue or stands, as non-const, in the transfer list.
    writer.attach(const_cast<SharedBuffer&>(buffer));
  }
  static void read(ValueReader& reader, SharedBuffer& buffer) {
    reader.state().source.take_buffer(reader.read_index(), buffer);
  }
};

/// Goes along by the rules of Sink::attach.
template <>
struct ValueForm<FileDescriptor> {
  static void write(ValueWriter& writer, const FileDescriptor& descriptor) {
    writer.attach(const_cast<FileDescriptor&>(descriptor));
  }
  static void read(ValueReader& reader, FileDescriptor& descriptor) {
    reader.state().source.take_descriptor(reader.read_index(), descriptor);
  }
};

/// Copied: goes along however the value is posted, and stays.
template <>
struct ValueForm<BufferView> {
  static void write(ValueWriter& writer, const BufferView& view) { writer.attach(view); }
  static void read(ValueReader& reader, BufferView& view) {
    reader.state().source.take_view(reader.read_index(), view);
  }
};

}  // namespace v1
}  // namespace portolan
