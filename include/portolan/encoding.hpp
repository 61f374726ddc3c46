// SPDX-License-Identifier: Apache-2.0

// The seam between a message and a value: a Sink is where one message is being written, a Source is what one
// message is read from. A Sink writes straight into the space that the port has reserved, so a value is
// copied once; a Source hands out bytes of the payload after checking that they are there. Users meet both in
// codec<T>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <portolan/export.hpp>
#include <portolan/lane/payload_copy.hpp>

namespace portolan {
inline namespace v1 {

class BufferView;
class FileDescriptor;
class MessagePort;
class SharedBuffer;
class ValueReader;
class ValueWriter;
struct TypeIdentity;

/// How a payload is written. Travels in 4 bits of the frame header, so the numbers are part of the wire
/// format.
enum class Format : std::uint8_t {
  bytes = 1,  ///< the payload as it is
  text,       ///< UTF-8 without a terminator
  number,     ///< one arithmetic value or enumerator: its kind in one byte, then its bytes
  plain,      ///< the memory of one object whose type opts in with is_plain
  value,      ///< anything else: the encoding of docs/values.md
  custom,     ///< whatever the type's codec writes
  cbor,       ///< a portolan::Value: one item of RFC 8949
  refusal,    ///< of a reply only: text that says why there is none
};

/// "bytes", "text", ...; "unknown" for a number that is none of the above.
PORTOLAN_API std::string_view name_of(Format) noexcept;

/// Whether a port, a buffer or a descriptor met inside a value may leave the sender.
enum class Ownership : std::uint8_t {
  moved,           ///< the value was posted as an rvalue: they go along
  must_be_listed,  ///< posted as an lvalue: only those that stand in the transfer list go along
};

/// Throws DataCloneError(why). Out of line, to keep the templates of the value encoding small.
[[noreturn, gnu::cold]] PORTOLAN_API void refuse_value(std::string_view why);

/// Throws DataCloneError: fewer bytes are left than are wanted.
[[noreturn, gnu::cold]] PORTOLAN_API void refuse_short(std::size_t wanted_bytes, std::size_t left_bytes);

/// Where one message is written. It lives during one post, on the posting thread, and belongs to the port:
/// keep no pointer into it. What it throws (QueueFullError at the limit, DataCloneError for a port that
/// cannot go) must reach the port, which then drops everything written and leaves every port with the caller.
class PORTOLAN_API Sink {
 public:
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink();

  /// Appends a copy of `bytes` bytes.
  void write(const void* data, std::size_t bytes) {
    std::byte* const space = append(bytes);
    if (bytes != 0) lane::copy_payload(space, data, bytes);
  }

  /// Appends `bytes` bytes of unspecified content for the caller to fill; valid until the next call that
  /// appends.
  std::byte* append(std::size_t bytes) {
    if (bytes > static_cast<std::size_t>(end_ - cursor_)) [[unlikely]]
      grow(bytes);
    return std::exchange(cursor_, cursor_ + bytes);
  }

  /// Bytes written so far.
  std::size_t written() const noexcept { return static_cast<std::size_t>(cursor_ - begin_); }

  /// Replaces bytes that were written before, from `position` on: for lengths that are known late.
  void overwrite(std::size_t position, const void* data, std::size_t bytes) {
    if (position > written() || bytes > written() - position) refuse_value("overwrite past what was written");
    if (bytes != 0) std::memcpy(begin_ + position, data, bytes);
  }

  /// Whether the peer is of the same user; without that, no pointers are written (the peer would refuse
  /// them).
  bool trusted() const noexcept { return trusted_; }

  /// Makes `port` go along and returns its index among the message's ports. Refers to the port's state, not
  /// to the object, so the object may be a temporary; the same port twice gives the same index. The port is
  /// detached only when the whole post has succeeded. Throws DataCloneError if it is detached, closed, the
  /// port being posted on, or must be listed and is not.
  std::uint32_t attach(MessagePort& port, Ownership ownership) { return attach_port(port, ownership); }

  /// The same for a buffer; the index is one among the message's buffers. Shared memory goes along whatever
  /// the ownership, and stays.
  std::uint32_t attach(SharedBuffer& buffer, Ownership ownership) { return attach_buffer(buffer, ownership); }

  /// The same for a descriptor; the index is one among the message's descriptors. The object may be a
  /// temporary: what goes is a duplicate, and the object, if it is still there when the post has succeeded,
  /// is emptied. Throws PortError without room for the duplicate.
  std::uint32_t attach(FileDescriptor& descriptor, Ownership ownership) {
    return attach_descriptor(descriptor, ownership);
  }

  /// Has a view go along, which stays; the index is one among the message's views. Throws DataCloneError if
  /// it is a view of nothing.
  std::uint32_t attach(const BufferView& view) { return attach_view(view); }

  /// What is written is a value of this type, so that the port can tell its name to the peer; of static
  /// duration.
  void set_type(const TypeIdentity& type) noexcept { type_ = &type; }

 protected:
  explicit Sink(bool trusted) noexcept : trusted_(trusted) {}

  /// Makes room: afterwards end_ - cursor_ >= bytes, and what was written is kept (at another address,
  /// perhaps). Not all of it need be used: an object's room is asked for before its fields are written.
  virtual void grow(std::size_t bytes) = 0;
  virtual std::uint32_t attach_port(MessagePort& port, Ownership ownership) = 0;
  // Of a sink that carries none of them: DataCloneError.
  virtual std::uint32_t attach_buffer(SharedBuffer& buffer, Ownership ownership);
  virtual std::uint32_t attach_descriptor(FileDescriptor& descriptor, Ownership ownership);
  virtual std::uint32_t attach_view(const BufferView& view);

  std::byte* begin_ = nullptr;
  std::byte* cursor_ = nullptr;
  std::byte* end_ = nullptr;
  const TypeIdentity* type_ = nullptr;  // null: the payload says nothing about types

 private:
  friend class ValueWriter;

  bool trusted_;
};

/// What one message is read from. Lives during one read; bytes that it hands out are valid as long as it is.
/// The payload of a foreign peer is a private copy, so it cannot change between a check and a use.
class PORTOLAN_API Source {
 public:
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source();

  /// The next `bytes` bytes, at any alignment. Throws DataCloneError if fewer are left.
  const std::byte* take(std::size_t bytes) {
    if (bytes > left()) [[unlikely]]
      refuse_short(bytes, left());
    return std::exchange(cursor_, cursor_ + bytes);
  }

  /// Copies the next `bytes` bytes. Throws DataCloneError, and copies nothing, if fewer are left.
  void read(void* into, std::size_t bytes) {
    const std::byte* const from = take(bytes);
    if (bytes != 0) lane::copy_payload(into, from, bytes);
  }

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }
  Format format() const noexcept { return format_; }

  /// Whether the peer is of the same user; from others no pointers are read.
  bool trusted() const noexcept { return trusted_; }

  /// Hides all but the next `bytes` bytes, for a part that must not read past its end; returns how many are
  /// hidden. Throws DataCloneError if fewer are left. Undone by show().
  std::size_t hide_after(std::size_t bytes) {
    if (bytes > left()) refuse_short(bytes, left());
    const std::size_t hidden = left() - bytes;
    end_ -= hidden;
    return hidden;
  }
  void show(std::size_t hidden_bytes) noexcept { end_ += hidden_bytes; }

  /// Puts the message's port number `index` into `into`, which should be detached. The port is only lent
  /// until the whole value has been read: if reading fails, destroying `into` (or whatever it was moved into)
  /// closes nothing, and the message has its port again. Throws DataCloneError if there is no such port or it
  /// was taken before.
  void take_port(std::uint32_t index, MessagePort& into) { lend_port(index, into); }

  /// The same for a buffer. One of shared memory may be taken any number of times, and the message keeps it.
  void take_buffer(std::uint32_t index, SharedBuffer& into) { lend_buffer(index, into); }

  /// The same for a descriptor, of which `into` gets a duplicate: the message's own is closed once the value
  /// has been read. Throws PortError without room for the duplicate.
  void take_descriptor(std::uint32_t index, FileDescriptor& into) { lend_descriptor(index, into); }

  /// Copies a view, any number of times.
  void take_view(std::uint32_t index, BufferView& into) { lend_view(index, into); }

  /// The name of a type whose fingerprint stands in a message, as far as the sender has told it; else empty.
  virtual std::string name_of_type(std::uint32_t fingerprint) const;

 protected:
  Source(const std::byte* payload, std::size_t bytes, Format format, bool trusted) noexcept
      : cursor_(payload), end_(payload + bytes), format_(format), trusted_(trusted) {}

  virtual void lend_port(std::uint32_t index, MessagePort& into) = 0;
  // Of a source that brings none of them: DataCloneError.
  virtual void lend_buffer(std::uint32_t index, SharedBuffer& into);
  virtual void lend_descriptor(std::uint32_t index, FileDescriptor& into);
  virtual void lend_view(std::uint32_t index, BufferView& into);

 private:
  friend class ValueReader;

  const std::byte* cursor_;
  const std::byte* end_;
  Format format_;
  bool trusted_;
};

}  // namespace v1
}  // namespace portolan
