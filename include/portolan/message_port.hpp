// SPDX-License-Identifier: Apache-2.0

// The Web's MessagePort: one end of a channel, which this process may use, hand on, or close.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/channel_info.hpp>
#include <portolan/close_event.hpp>
#include <portolan/codec.hpp>
#include <portolan/drained.hpp>
#include <portolan/error.hpp>
#include <portolan/event_target.hpp>
#include <portolan/export.hpp>
#include <portolan/gather.hpp>
#include <portolan/lane/lanes.hpp>
#include <portolan/lane/payload_copy.hpp>
#include <portolan/message_event.hpp>
#include <portolan/port_handle.hpp>
#include <portolan/post_result.hpp>
#include <portolan/received.hpp>
#include <portolan/reply.hpp>
#include <portolan/space.hpp>
#include <portolan/transfer_list.hpp>
#include <portolan/trust.hpp>

namespace portolan {

namespace port {
class PortState;
struct PortAccess;
}  // namespace port

inline namespace v1 {

class EventLoop;

/// Unread by the peer.
struct Buffered {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

/// How much is worth a wake-up: so many messages or so many bytes, whichever comes first; zero: no matter.
struct Threshold {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

/// One end of a channel. Move-only; default-constructed it is detached; its destructor closes it.
///
/// Threads: one thread posts, one thread receives, close() comes from any; events and their listeners belong
/// to the loop's thread. Transferring a port needs both threads idle (sleepers are woken and find it
/// detached). Moving the C++ object is no transfer: listeners and the started state come along. Transferring
/// is: they stay behind, and this object is detached for good. Death: if the peer's process ends, everything
/// it has posted is still received, then the port is closed. A peer that writes what no correct one does ends
/// the channel with CloseReason::protocol_error, told to on_close once; nobody else notices.
///
/// A forked child has copies of its parent's ports that are nobody's: every use but close(), is_open(),
/// close_reason(), buffered_amount() and destruction throws InvalidStateError there, and none touches the
/// parent's port. These five wait for nobody and take no memory, so that the child of a bare clone(), for
/// which no handler of fork runs, may have them, too; everything else may wait there for ever. As long as it
/// has not destroyed its copies, executed something or ended, the peers do not see its parent's death. The
/// child of a vfork() may only execute and end.
///
/// Without memory (std::bad_alloc, or PortError with not_enough_memory) every call leaves everything as it
/// was, and may be repeated.
class PORTOLAN_API MessagePort final : public EventTarget {
 public:
  MessagePort() noexcept;
  MessagePort(MessagePort&& other) noexcept;
  MessagePort& operator=(MessagePort&& other) noexcept;
  ~MessagePort() override;

  // ---- posting: never blocks, but for post_message_for. One that runs ahead of an active reader may pause
  // for up to 40 us, so that the messages stay in the caches.

  /// Posts a copy of `value`, written by the rules of codec.hpp, with what moves if it is an rvalue (ports,
  /// buffers, descriptors) and the list. Throws DataCloneError (a value or list that cannot go),
  /// QueueFullError (the limit of unread bytes, or the room for unread messages with ports) and PortError
  /// (the kernel), in all cases with everything still the caller's. On a closed or detached port it only
  /// detaches the list.
  template <class T>
  void post_message(T&& value) {
    if (submit(std::forward<T>(value)) == PostResult::full) throw_full();
  }
  template <class T>
  void post_message(T&& value, PostOptions options) {
    if (submit(std::forward<T>(value), &options) == PostResult::full) throw_full();
  }

  /// The same, with every ordinary outcome as a value.
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value) {
    return submit(std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value, PostOptions options) {
    return submit(std::forward<T>(value), &options);
  }

  /// The same, and waits for room for at most `patience`.
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value) {
    return timed_out_if_full(submit(std::forward<T>(value), nullptr, patience));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value,
                                            PostOptions options) {
    return timed_out_if_full(submit(std::forward<T>(value), &options, patience));
  }

  /// Several byte ranges as one message of bytes.
  void post_message(Gather parts, PostOptions options = {});
  [[nodiscard]] PostResult try_post_message(Gather parts, PostOptions options = {});

  /// Room for a message of up to `bytes` to be written in place. One reservation is open at a time
  /// (InvalidStateError). Throws QueueFullError, PortError, std::length_error if no message can be as large;
  /// on a closed or detached port the space is private memory and its commit does nothing.
  [[nodiscard, gnu::always_inline]] Space reserve(std::size_t bytes) {
    if (Space here(*lanes_, bytes); here.in_lane()) [[likely]]
      return here;
    Space elsewhere = reserve_elsewhere(bytes);
    return Space(std::move(elsewhere));
  }
  /// Empty when there is no room.
  [[nodiscard]] std::optional<Space> try_reserve(std::size_t bytes) {
    if (Space here(*lanes_, bytes); here.in_lane()) [[likely]]
      return here;
    return try_reserve_elsewhere(bytes);
  }

  /// Posts a message that its receiver answers with MessageEvent::reply(), and throws as post_message does.
  /// Any number may be under way; each reply finds its own request. On a closed or detached port the Reply
  /// says so.
  template <class T>
  [[nodiscard]] Reply request(T&& value, RequestOptions options = {}) {
    using Held = std::remove_reference_t<T>;
    return submit_request(
        const_cast<std::remove_cvref_t<T>*>(std::addressof(value)),
        [](void* held, Sink& sink) { encode(static_cast<T&&>(*static_cast<Held*>(held)), sink); },
        format_of<std::remove_cvref_t<T>>(), options);
  }

  /// Requests of this port that have neither a reply nor an error yet. From any thread.
  [[nodiscard]] std::size_t pending_requests() const noexcept;

  // ---- receiving without events

  /// The next message; waits for it. Throws PortError if the kernel has no descriptors for the message's
  /// ports, or no memory: then the message stays, and a later call gets it.
  [[nodiscard, gnu::always_inline]] Received receive() {
    lane::Loan loan;
    if (lanes_->lend(loan)) [[likely]]
      return Received(loan, *lanes_);
    Received waited = wait();
    return Received(std::move(waited));
  }
  [[nodiscard, gnu::always_inline]] Received try_receive() {
    lane::Loan loan;
    if (lanes_->lend(loan)) [[likely]]
      return Received(loan, *lanes_);
    Received found = look();
    return Received(std::move(found));
  }
  [[nodiscard]] Received receive_for(std::chrono::nanoseconds patience);
  [[nodiscard]] Received receive(std::stop_token stop);
  /// Fills `batch` from its beginning with what is there now, and returns how many. All of them stay in hand
  /// until the next receive. Does not wait. Zero may be the end, too: try_receive() says which it is.
  [[nodiscard]] std::size_t receive_batch(std::span<Received> batch);

  // ---- events

  /// The handler for messages; the first one enables the queue and binds the port to this thread's loop. F
  /// takes a MessageEvent&.
  template <class F>
  void on_message(F handler) & {
    static_assert(EventListener<F>, "it takes a MessageEvent&, or nothing; for a T say on_message<T>()");
    if constexpr (EventListener<F>) set_message_handler(as_callback(std::move(handler)));
  }
  /// Takes the handler away, here and below. The queue is enabled all the same, and what nobody hears is
  /// lost.
  void on_message(std::nullptr_t) & { set_message_handler({}); }

  /// The handler gets data<T>(): F(T) or F(T, MessageEvent&). A message that is no T becomes a messageerror.
  template <class T, class F>
  requires(std::is_invocable_v<F&, T> ||
           std::is_invocable_v<F&, T, MessageEvent&>) void on_message(F handler) & {
    set_message_handler([this_handler = std::move(handler)](Event& event) mutable {
      auto& message = static_cast<MessageEvent&>(event);
      std::optional<T> value = read_or_fail<T>(message);
      if (!value) return;
      if constexpr (std::is_invocable_v<F&, T, MessageEvent&>)
        this_handler(std::move(*value), message);
      else
        this_handler(std::move(*value));
    });
  }

  /// For messages that could not be read: the event has no payload and no ports, and what() says why. What
  /// came along is lost. One that is_request() may be answered, or refused. F takes a MessageEvent&.
  template <class F>
  requires EventListener<F>
  void on_message_error(F handler) & {
    set_handler("messageerror", as_callback(std::move(handler)));
    bind();
  }
  void on_message_error(std::nullptr_t) & { set_handler("messageerror", {}); }

  /// The end of the channel, once, after the last message: F takes a CloseEvent&. Also comes if the queue is
  /// empty and not enabled. Not for one's own close().
  template <class F>
  requires EventListener<F>
  void on_close(F handler) & {
    set_handler("close", as_callback(std::move(handler)));
    bind();
  }
  void on_close(std::nullptr_t) & { set_handler("close", {}); }

  /// There is room again after a post found none, half of the channel, or as much as leaves no more than
  /// `low_water` unread: F takes an Event&.
  template <class F>
  requires EventListener<F>
  void on_drain(F handler) & {
    set_handler("drain", as_callback(std::move(handler)));
    bind();
  }
  template <class F>
  requires EventListener<F>
  void on_drain(Buffered low_water, F handler) & {
    set_low_water(low_water);
    on_drain(std::move(handler));
  }
  void on_drain(std::nullptr_t) & { set_handler("drain", {}); }

  /// Has the loop leave messages alone until as many, or as much, as `least` says are there, or the other end
  /// is gone; then it delivers until none is left. Looks once a millisecond while fewer are there. What is
  /// below it when nothing more comes stays. receive() and its like take no notice of it.
  void set_threshold(Threshold least) noexcept;

  /// Has the loop call `call` once when a receive would give something, a message or the end: at once, if
  /// there is something. The queue stays disabled, and nothing is lost; binds the port. A second one takes
  /// the place of the first, and an empty one takes it away. Throws InvalidStateError if the queue is
  /// enabled.
  void when_readable(Callback<void()> call) &;

  /// Enables the queue and binds the port to this thread's loop, unless it is bound. A transferred port must
  /// be started again.
  void start();
  /// Binds the port to `loop`, whose thread this must be.
  void attach(EventLoop& loop);
  /// Whether an open port with a listener keeps run() going. It does, until unref().
  void ref() noexcept;
  void unref() noexcept;
  [[nodiscard]] bool has_ref() const noexcept;

  /// Closes this end; from any thread, any number of times. Every waiter here returns, and the peer is told
  /// at once, after everything that was posted. Messages that were in a started queue are still delivered.
  void close() noexcept;

  // ---- somebody else's loop

  /// A descriptor that is readable (level-triggered) while dispatch() has something to do. Binds the port to
  /// it instead of a loop. Stays the port's. Throws PortError.
  [[nodiscard]] int native_handle();
  /// Runs the listeners for what is there, without blocking. Returns how many events. What a listener throws
  /// comes out at the end, unless an exception handler takes it.
  std::size_t dispatch();

  // ---- what is going on

  /// Neither detached nor closed, and the other end not known to be gone.
  [[nodiscard]] bool is_open() const noexcept;
  /// Why the other end is gone, as CloseEvent says it; empty as long as it is not, and if the owner of this
  /// one has closed it before a loop told of that.
  [[nodiscard]] std::optional<CloseReason> close_reason() const noexcept;
  /// What was posted on this end, by whichever owner, and not read yet; nothing once it is closed or
  /// detached.
  [[nodiscard]] Buffered buffered_amount() const noexcept;
  /// To wait until the peer has read everything that was posted up to now. Belongs to the posting thread.
  [[nodiscard]] Drained drained() const;
  /// Throws PortError, or InvalidStateError if detached or closed.
  [[nodiscard]] Peer peer() const;
  /// The counters are of this end, over all its owners. A port that never had a channel, or was released,
  /// knows nothing of one. Throws PortError if the channel's memory cannot be mapped.
  [[nodiscard]] ChannelInfo info() const;

  // ---- by hand

  /// The port as two descriptors. Throws InvalidStateError if it is detached or closed, else as a transfer
  /// does; then the port is unchanged.
  [[nodiscard]] PortHandle release() &&;
  /// The port of a handle. Throws InvalidStateError if that is empty, DataCloneError if it is no port or
  /// somebody else has adopted it; PortError if the kernel refuses, and then the handle is unchanged.
  [[nodiscard]] static MessagePort adopt(PortHandle&& handle);

  /// Duplicates of the two descriptors, for a supervisor that outlives this port's owner. While it lives, the
  /// peer does not see the owner's death. It stands for this owner alone: once the port has moved on, the
  /// next owner's custody_handle() is needed. Throws InvalidStateError if the port is detached or closed,
  /// PortError.
  [[nodiscard]] PortHandle custody_handle() const;
  /// The port of an owner that was killed: the message it had in hand comes again, marked; everything later
  /// once. If it was killed within its close(), the close is finished and the port is closed. `owner` is the
  /// pidfd of the owner that the handle was made for, or of the one that was to adopt() a duplicate of it; it
  /// must have ended (InvalidStateError). Throws as adopt() does. If the owner was moving the port away when
  /// it died, DataCloneError, and the handle is then one for adopt(), for whoever knows that the port has
  /// arrived nowhere. If it has had another owner since, DataCloneError too, and the handle is empty.
  [[nodiscard]] static MessagePort recover(PortHandle&& handle, const FileDescriptor& owner);

 private:
  friend struct port::PortAccess;
  friend class Space;
  using Encoder = void (*)(void* value, Sink& sink);

  template <class T>
  PostResult submit(T&& value, const PostOptions* options = nullptr, std::chrono::nanoseconds patience = {}) {
    using Bare = std::remove_cvref_t<T>;
    constexpr Format kFormat = format_of<Bare>();
    if constexpr (kFormat == Format::bytes || kFormat == Format::text) {
      return submit_bytes(flat_bytes(value), kFormat, options, patience);
    } else if constexpr (kFormat == Format::plain) {
      return submit_bytes(std::as_bytes(std::span(std::addressof(value), 1)), kFormat, options, patience);
    } else if constexpr (kFormat == Format::number) {
      return submit_bytes(number_message<Bare>(value), kFormat, options, patience);
    } else {
      using Held = std::remove_reference_t<T>;
      return submit_encoded(
          const_cast<Bare*>(std::addressof(value)),
          [](void* held, Sink& sink) { encode(static_cast<T&&>(*static_cast<Held*>(held)), sink); }, kFormat,
          options, patience);
    }
  }

  template <class T>
  static std::optional<T> read_or_fail(MessageEvent& message) {
    try {
      return message.data<T>();
    } catch (const DataCloneError& error) {
      dispatch_message_error(message, error.what());
      return std::nullopt;
    }
  }

  static constexpr PostResult timed_out_if_full(PostResult result) noexcept {
    return result == PostResult::full ? PostResult::timed_out : result;
  }

  // Mostly there is room where the last message ended; what is more than that is the library's. Without
  // options there is no list to be made and found empty.
  template <class Bytes>
  [[gnu::always_inline]] PostResult submit_bytes(const Bytes& bytes, Format format,
                                                 const PostOptions* options,
                                                 std::chrono::nanoseconds patience) {
    if (options == nullptr || options->transfer.empty()) [[likely]] {
      if (std::byte* const room = lanes_->room(bytes.size())) [[likely]] {
        lane::copy_message(room, bytes.data(), bytes.size());
        if (lanes_->publish(lane::FrameHeader::message(static_cast<std::uint32_t>(bytes.size()),
                                                       static_cast<unsigned>(format), false, false)))
            [[unlikely]]
          wake_reader();
        return PostResult::posted;
      }
    }
    return submit_flat(bytes, format, options, patience);
  }
  PostResult submit_flat(std::span<const std::byte> bytes, Format format, const PostOptions* options,
                         std::chrono::nanoseconds patience);
  void wake_reader() noexcept;
  Space reserve_elsewhere(std::size_t bytes);
  std::optional<Space> try_reserve_elsewhere(std::size_t bytes);
  Received wait();
  Received look();
  PostResult submit_encoded(void* value, Encoder encoder, Format format, const PostOptions* options,
                            std::chrono::nanoseconds patience);
  Reply submit_request(void* value, Encoder encoder, Format format, const RequestOptions& options);
  [[noreturn]] void throw_full(const char* call = "post_message") const;
  void set_message_handler(ListenerCallback handler);
  static void dispatch_message_error(MessageEvent& message, std::string_view why);
  void bind();
  void set_low_water(Buffered mark) noexcept;
  void attach_to(std::shared_ptr<port::PortState> state) noexcept;
  std::shared_ptr<port::PortState> detach() noexcept;

  std::shared_ptr<port::PortState> state_;    // null: detached
  lane::Lanes* lanes_ = &lane::Lanes::kNone;  // the state's
};

}  // namespace v1
}  // namespace portolan
