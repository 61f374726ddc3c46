// SPDX-License-Identifier: Apache-2.0

// A message, as its receiver holds it: in place in the channel's memory, with the ports that came along.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <portolan/codec.hpp>
#include <portolan/encoding.hpp>
#include <portolan/event.hpp>
#include <portolan/export.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/lane/lanes.hpp>
#include <portolan/transfer_list.hpp>

namespace portolan {

namespace port {
class PortState;
class MessageSource;
class Segment;
struct Enclosures;
}  // namespace port

inline namespace v1 {

class MessagePort;
class Message;
class SharedBuffer;

/// What a message and an event of it have in common: reading the payload. The bytes may be shared memory: a
/// peer of the same user can still change them while they are read (of a foreign channel they are a private
/// copy).
class PORTOLAN_API MessageContent {
 public:
  /// How the sender wrote it.
  [[nodiscard]] Format format() const noexcept { return format_; }

  /// A copy of the payload.
  [[nodiscard]] std::vector<std::byte> copy_bytes() const { return {data_, data_ + size_bytes_}; }

  /// Reads the payload as T, by the rules of codec.hpp. Throws DataCloneError if it holds anything else, and
  /// then has consumed nothing. The first success moves the ports that T contains out of ports().
  template <class T>
  [[nodiscard]] T data() {
    std::optional<T> value;
    read([](Source& source, void* into) { static_cast<std::optional<T>*>(into)->emplace(decode<T>(source)); },
         &value);
    return std::move(*value);
  }

  /// Whether data<T>() would succeed. Takes nothing.
  template <class T>
  [[nodiscard]] bool is() const noexcept {
    return const_cast<MessageContent*>(this)->readable(
        [](Source& source, void*) { static_cast<void>(decode<T>(source)); });
  }

  /// The ports that came along, in list order. A slot is detached once its port was moved out, or if its port
  /// was taken from the kernel by a reader that was killed.
  [[nodiscard]] std::span<MessagePort> ports() noexcept PORTOLAN_LIFETIMEBOUND;

  /// The buffers that came along, in list order; moved out by the caller. data<T>() moves those that T
  /// contains out, as it does with ports; of shared memory T gets another object.
  [[nodiscard]] std::span<SharedBuffer> buffers() noexcept PORTOLAN_LIFETIMEBOUND;

  /// Of a messageerror: why the message could not be read, as data<T>() says it. Empty for a message.
  [[nodiscard]] std::string_view what() const noexcept PORTOLAN_LIFETIMEBOUND;

  /// The descriptors that came along, in list order; moved out by the caller or by data<T>().
  [[nodiscard]] std::span<FileDescriptor> descriptors() noexcept PORTOLAN_LIFETIMEBOUND;

  /// Its first reader was killed before it was done with it: it may have been seen before, or not.
  [[nodiscard]] bool redelivered() const noexcept { return (marks_ & kRedelivered) != 0; }

 protected:
  using Decoder = void (*)(Source&, void*);
  static constexpr std::uint8_t kRedelivered = 1;
  static constexpr std::uint8_t kRequest = 2;  // and not answered yet

  MessageContent() noexcept = default;
  explicit MessageContent(const lane::Loan& loan) noexcept
      : data_(loan.payload),
        size_bytes_(loan.header.payload_bytes()),
        format_(static_cast<Format>(loan.header.format())) {}
  MessageContent(MessageContent&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)),
        enclosures_(std::exchange(other.enclosures_, nullptr)),
        format_(other.format_),
        marks_(other.marks_),
        trusted_(other.trusted_),
        kept_(other.kept_) {}
  MessageContent& operator=(MessageContent&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    std::swap(enclosures_, other.enclosures_);
    format_ = other.format_;
    marks_ = other.marks_;
    trusted_ = other.trusted_;
    return *this;
  }
  [[gnu::always_inline]] ~MessageContent() {
    if (enclosures_ != nullptr) close(enclosures_);
  }

  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  port::Enclosures* enclosures_ = nullptr;  // owned; null: nothing came along
  Format format_ = Format::bytes;
  std::uint8_t marks_ = 0;  // in one word, so that moving an event costs what it did with one of them
  bool trusted_ = true;
  bool kept_ = false;  // this is a Message, else a MessageEvent

 private:
  friend class port::PortState;
  friend class port::MessageSource;
  friend class MessageEvent;
  friend class Message;

  void read(Decoder decoder, void* into);
  bool readable(Decoder decoder) noexcept;
  static void close(port::Enclosures* owned) noexcept;
  const port::Segment* segment() const noexcept;
};

/// A message as an event, at its port. Belongs to the port's receiving thread, and ends there; in a forked
/// child its bytes are not mapped, and it may only be destroyed; while it lives, its memory is not reused.
/// Once it ends, or the next message is received, the message counts as read by the sender. Events may
/// outlive their port: if that was moved away they go on showing what they showed, as a private copy.
class PORTOLAN_API MessageEvent final : public Event, public MessageContent {
 public:
  /// Moving brings the message along; the moved-from event is empty.
  MessageEvent(MessageEvent&& other) noexcept
      : Event(std::move(other)),
        MessageContent(std::move(other)),
        lanes_(std::exchange(other.lanes_, nullptr)),
        sequence_(other.sequence_),
        frame_(other.frame_),
        frame_bytes_(other.frame_bytes_) {}
  MessageEvent& operator=(MessageEvent&& other) noexcept;
  [[gnu::always_inline]] ~MessageEvent() override { end(); }

  /// The payload in place: valid while this event lives. 8-byte aligned.
  [[nodiscard]] std::span<const std::byte> bytes() const& noexcept PORTOLAN_LIFETIMEBOUND {
    return {data_, size_bytes_};
  }
  std::span<const std::byte> bytes() const&& = delete;

  /// The payload as text, in place; whether it was posted as text is format()'s to say.
  [[nodiscard]] std::string_view text() const& noexcept PORTOLAN_LIFETIMEBOUND {
    return {reinterpret_cast<const char*>(data_), size_bytes_};
  }
  std::string_view text() const&& = delete;

  /// What a message from a port has not, on the Web either.
  [[nodiscard]] static constexpr std::string_view origin() noexcept { return {}; }
  [[nodiscard]] static constexpr std::string_view last_event_id() noexcept { return {}; }
  [[nodiscard]] static constexpr EventTarget* source() noexcept { return nullptr; }

  /// Makes a message of it that any thread may hold and destroy. The event is empty afterwards.
  [[nodiscard]] Message keep() &&;

  /// Whether its sender waits for a reply: it came by request(), and was not answered here yet.
  [[nodiscard]] bool is_request() const noexcept { return (marks_ & kRequest) != 0; }

  /// Answers it, as post_message on its port does, and throws as that does; once: InvalidStateError if it is
  /// no request. It posts, so one thread has to post and receive on this port. If the port has closed or
  /// moved away, it only detaches the list. A handler that answers later moves the event out and keeps it.
  template <class T>
  void reply(T&& value, PostOptions options = {}) {
    using Held = std::remove_reference_t<T>;
    send_reply(
        const_cast<std::remove_cvref_t<T>*>(std::addressof(value)),
        [](void* held, Sink& sink) { encode(static_cast<T&&>(*static_cast<Held*>(held)), sink); },
        format_of<std::remove_cvref_t<T>>(), options);
  }

  /// Says that there will be no reply, and why: the other side's RequestError has the first 1000 bytes of it.
  /// Otherwise as reply().
  void refuse(std::string_view why);

 private:
  friend class port::PortState;
  friend class MessageContent;
  friend class Received;
  friend class Message;

  explicit MessageEvent(std::string_view type = "message") noexcept : Event(LibraryMade{type}) {}
  // What is out of the ordinary gets values, not this: so an event that is only looked at has no address, and
  // the compiler keeps it in registers.
  [[gnu::always_inline]] void end() noexcept {
    if (lanes_ != nullptr && !lanes_->take_back(sequence_, frame_bytes_))
      let_go(*std::exchange(lanes_, nullptr), sequence_, {frame_, frame_bytes_},
             std::exchange(enclosures_, nullptr));
  }
  static void let_go(const lane::Lanes& lanes, std::uint64_t sequence, std::span<const std::byte> frame,
                     port::Enclosures* owned) noexcept;
  void send_reply(void* value, void (*encoder)(void*, Sink&), Format format, const PostOptions& options);

  MessageEvent(const lane::Loan& loan, const lane::Lanes& lanes) noexcept
      : Event(LibraryMade{"message"}),
        MessageContent(loan),
        lanes_(&lanes),
        sequence_(loan.sequence),
        frame_(loan.payload),
        frame_bytes_(loan.header.payload_bytes()) {}
  // A plain event, whose former message somebody else lets go of.
  void show(const lane::Loan& loan) noexcept {
    data_ = frame_ = loan.payload;
    size_bytes_ = frame_bytes_ = loan.header.payload_bytes();
    format_ = static_cast<Format>(loan.header.format());
    marks_ = 0;  // a message that could not be taken may have left some
    sequence_ = loan.sequence;
  }
  void show(const lane::Loan& loan, const lane::Lanes& lanes) noexcept {
    show(loan);
    lanes_ = &lanes;
  }

  // All that it has and show() does not write is a pin of its frame.
  [[nodiscard]] bool plain() const noexcept { return untouched() && enclosures_ == nullptr; }
  // A plain event, whose message somebody else lets go of.
  void clear() noexcept {
    data_ = frame_ = nullptr;
    size_bytes_ = frame_bytes_ = 0;
    format_ = Format::bytes;
    marks_ = 0;
    trusted_ = true;
    lanes_ = nullptr;
  }

  const lane::Lanes* lanes_ = nullptr;  // of the port whose memory is pinned; null: none
  std::uint64_t sequence_ = 0;
  const std::byte* frame_ = nullptr;  // its payload in the ring; null: it lies in no ring any more
  std::uint32_t frame_bytes_ = 0;
};

/// A message that was kept: counts as read, but its memory stays in use until this is destroyed. Movable
/// between threads; not for two at a time.
class PORTOLAN_API Message final : public MessageContent {
 public:
  Message() noexcept { kept_ = true; }
  Message(Message&& other) noexcept;
  Message& operator=(Message&& other) noexcept;
  ~Message();

  [[nodiscard]] std::span<const std::byte> bytes() const& noexcept PORTOLAN_LIFETIMEBOUND {
    return {data_, size_bytes_};
  }
  std::span<const std::byte> bytes() const&& = delete;
  [[nodiscard]] std::string_view text() const& noexcept PORTOLAN_LIFETIMEBOUND {
    return {reinterpret_cast<const char*>(data_), size_bytes_};
  }
  std::string_view text() const&& = delete;

 private:
  friend class MessageContent;
  friend class MessageEvent;
  void let_go() noexcept;

  std::shared_ptr<port::Segment> segment_;
  ring::Extent* extent_ = nullptr;
};

}  // namespace v1
}  // namespace portolan
