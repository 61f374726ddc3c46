// SPDX-License-Identifier: Apache-2.0

// What a MessagePort is, behind its one pointer: an endpoint, or the parcel of one that was not used yet, and
// its place in a loop.
//   port_state.cpp  use, close, leave      port_events.cpp  serving a loop
//   delivery.cpp    frames become messages      requests.cpp  replies find their requests
//   merging.cpp     another channel
#pragma once

#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <portolan/lane/lanes.hpp>
#include <portolan/lane/payload_copy.hpp>
#include <portolan/message_event.hpp>
#include <portolan/message_port.hpp>
#include <portolan/received.hpp>

#include "os/socket.hpp"
#include "port/endpoint.hpp"
#include "port/foreign_intake.hpp"
#include "port/fork_guard.hpp"
#include "port/listeners.hpp"
#include "port/loop_access.hpp"
#include "port/loop_source.hpp"
#include "port/parcel.hpp"
#include "port/pending_reply.hpp"
#include "port/unshipped_queue.hpp"

namespace portolan::port {

struct Enclosures;
struct Unopened;

using lane::Writing;

class PortState final : public LoopSource,
                        public ForkGuarded,
                        public std::enable_shared_from_this<PortState> {
 public:
  explicit PortState(Parcel parcel) noexcept
      : channel_(parcel.channel), side_(parcel.side), trust_(parcel.trust), parcel_(std::move(parcel)) {
    enrol();
  }
  ~PortState();

  // ---- the endpoint
  // Makes the port of an empty parcel that of another one, or of an adopted endpoint.
  void take_parcel(Parcel parcel) noexcept;
  void take_endpoint(std::unique_ptr<Endpoint> endpoint) noexcept;
  // Adopts it at the first use. Null: the port was closed, moved away, or somebody else has adopted it.
  // Throws PortError if the kernel will not map it now; a later use tries again.
  Endpoint* use() {
    // [Q1] acquire; pairs with [Q2]: the endpoint that the other thread has adopted is complete.
    if (Endpoint* const endpoint = used_.load(std::memory_order_acquire)) [[likely]]
      return endpoint;
    return first_use();
  }
  Endpoint* used() const noexcept {
    // [Q3] acquire; pairs with [Q2]: as [Q1].
    return used_.load(std::memory_order_acquire);
  }
  lane::Lanes& lanes() noexcept { return lanes_; }
  ring::ChannelId channel() const noexcept { return channel_; }
  ring::Side side() const noexcept { return side_; }
  Trust trust() const noexcept { return trust_; }
  // For what is thrown: its label in quotes, or else its channel's id.
  std::string name() const;
  // In a child that was forked since, where this is nobody's port.
  bool forked() const noexcept { return os::forked_since(fork_generation_); }
  // Throws InvalidStateError there.
  void check_process(const char* call) const {
    if (forked()) [[unlikely]]
      refuse_process(call);
  }
  bool is_open() noexcept;
  std::optional<CloseReason> close_reason() const noexcept;
  bool gone() noexcept;  // closed, moved away or lost: cannot be transferred

  void close(CloseReason reason = CloseReason::closed) noexcept;
  // The MessagePort is destroyed: events of it that still live keep what they need.
  void abandon() noexcept;
  // The same in a forked child.
  static void leave_behind(std::shared_ptr<PortState> state, std::shared_ptr<Listeners> listeners) noexcept;

  // ---- posting
  PostResult post_flat(std::span<const std::byte> bytes, Format format, const PostOptions& options,
                       std::chrono::nanoseconds patience) {
    // [Q4] acquire; pairs with [Q2]: as [Q1].
    Endpoint* const endpoint = used_.load(std::memory_order_acquire);
    if (endpoint != nullptr && options.transfer.empty() &&
        // [U3] relaxed: another port of this thread may have taken the turn, and no other thread's matters.
        lanes_.writing_.load(std::memory_order_relaxed) == 0 && endpoint->usable() &&
        !endpoint->peer_closed()) [[likely]] {
      if (std::byte* const room = endpoint->room(bytes.size())) [[likely]] {
        lane::copy_payload(room, bytes.data(), bytes.size());
        endpoint->publish(ring::FrameHeader::message(static_cast<std::uint32_t>(bytes.size()),
                                                     static_cast<unsigned>(format), false, false));
        return PostResult::posted;
      }
    }
    return post_slowly(bytes, format, options, patience);
  }
  Writing writing() const noexcept {
    const unsigned word = lanes_.writing_.load(std::memory_order_relaxed);  // [U3]
    return static_cast<Writing>(word & ~lane::Lanes::kOutOfTurn);
  }
  // From the posting thread. An out of turn that comes meanwhile is another thread's, and may get lost.
  void set_writing(Writing writing) noexcept {
    const unsigned word = lanes_.writing_.load(std::memory_order_relaxed);  // [U3]
    const unsigned turn = word & lane::Lanes::kOutOfTurn;
    lanes_.writing_.store(static_cast<std::uint8_t>(static_cast<unsigned>(writing) | turn),
                          std::memory_order_relaxed);  // [U3]
    open_posting_lane();
  }
  bool out_of_turn() const noexcept {
    // [U3] relaxed: see post_flat.
    return (lanes_.writing_.load(std::memory_order_relaxed) & lane::Lanes::kOutOfTurn) != 0;
  }
  // What was written in a Space that has to become more than a post.
  std::unique_ptr<Reservation> reservation_for_space(std::span<const std::byte> bytes);
  void end_writing() noexcept;
  // The channel has just been made, by this thread.
  static void make_unshipped(const std::shared_ptr<PortState>& a, const std::shared_ptr<PortState>& b);
  // What is posted from now on comes after what other ports of this thread have posted. In use. Throws
  // std::bad_alloc.
  void take_turn();
  void end_turn() noexcept;
  // From the posting thread.
  void want_drain() noexcept;

  // ---- receiving
  // Into an empty `received`.
  void try_receive(Received& received);
  void receive(Received& received, std::int64_t deadline_ns, const std::stop_token& stop);
  std::size_t receive_batch(std::span<Received> batch);
  // A message that was in hand. `frame` is its payload in the ring.
  void release(std::uint64_t sequence, const std::byte* frame, std::uint32_t frame_bytes,
               std::uint64_t large_bytes) noexcept;
  // Has the ring's memory under a message stay as it is until that is let go of.
  ring::Extent& hold(const std::byte* frame) noexcept;

  // The next message is to be left for a while.
  bool held() noexcept { return intake_.waits(); }

  // ---- requests
  // Throws as a post does. Null: no room.
  std::shared_ptr<PendingReply> request(void* value, void (*encoder)(void*, Sink&), Format format,
                                        const RequestOptions& options, std::shared_ptr<Listeners> listeners);
  // The message of that number, in the other direction.
  PostResult reply(std::uint64_t number, void* value, void (*encoder)(void*, Sink&), Format format,
                   const PostOptions& options);
  void forget_request(const PendingReply& reply) noexcept { replies_.forget(reply); }
  // On the receiving thread. Returns when it is settled; other messages stay unread.
  void wait_for_reply(PendingReply& reply);
  // Null: it cannot be bound, and its requests are settled.
  std::shared_ptr<LoopCore> bind_for_replies(const std::shared_ptr<Listeners>& listeners);
  // Has the loop call it once a receive would give something, with the queue as it is.
  void when_readable(Callback<void()> call, std::shared_ptr<Listeners> listeners);
  std::size_t pending_requests() const noexcept { return replies_.size(); }
  std::uint64_t late_replies() const noexcept { return late_replies_; }

  // ---- flow
  // What this owner's posts have met; the posting thread's.
  struct Stalls {
    std::uint64_t refused = 0;
    std::uint64_t waits = 0;
    std::uint64_t waited_ns = 0;
  };
  Stalls& stalls() noexcept { return stalls_; }
  void set_low_water(Buffered mark) noexcept { low_water_ = mark; }
  void set_threshold(Threshold least) noexcept;

  // ---- moving: all three, or the first two; see Endpoint
  void begin_move();
  void undo_move() noexcept;
  Parcel finish_move() noexcept;
  wire::Attachment describe_moving() noexcept;
  std::array<int, 2> descriptors_moving() noexcept;  // segment, socket
  bool gone_by_moving() noexcept;
  os::Credentials maker();
  bool untaken_transfers() noexcept;
  // A value that is being read has it for the moment; destroying it then closes nothing.
  bool lent() const noexcept { return lent_; }
  void set_lent(bool lent) noexcept { lent_ = lent; }

  // ---- changing channels: merging.cpp
  // The other end of its channel, if that is a port of this process.
  std::shared_ptr<PortState> far_end();
  // Why it cannot become the other end of another channel; empty if it can.
  std::string why_it_stays();
  // Takes the place of `stays` in its channel; that of `goes` ends, whose far end this is.
  void change_channel(MessagePort& stays, MessagePort& goes);
  // How many messages this end of the present channel had posted when this port became it.
  std::uint64_t posted_at_merge() const noexcept { return posted_at_merge_; }
  // Unread messages of a channel that it had before.
  bool has_earlier() const noexcept { return !earlier_.empty(); }
  // Nothing to receive, here or in the ring.
  bool dry(const Endpoint& endpoint) const noexcept { return endpoint.dry() && earlier_.empty(); }

  // ---- events
  void bind(EventLoop& loop, std::shared_ptr<Listeners> listeners);
  bool bound() const noexcept { return static_cast<bool>(attachment_); }
  // On the loop's thread.
  bool has_message_to_serve() noexcept;
  void enable();
  void set_ref(bool ref) noexcept { ref_ = ref; }
  bool ref() const noexcept { return ref_; }
  int foreign_descriptor(std::shared_ptr<Listeners> listeners);
  std::size_t dispatch_what_is_there();
  static void dispatch_message_error(MessageEvent& message, std::string_view why);

  std::size_t serve(std::size_t most) override;
  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] int descriptor() const noexcept override;
  bool announce_sleep(bool deep) noexcept override;
  void announce_awake() noexcept override;
  void tidy() noexcept override;
  [[nodiscard]] bool keeps_loop_alive() const noexcept override;
  void loop_ends() noexcept override { warn_of_unread(); }
  // In debug builds: throws InvalidStateError on another thread than that of the loop it is bound to.
  void check_loop_thread(const char* call);

 private:
  [[noreturn]] void refuse_process(const char* call) const;
  Endpoint* first_use();
  bool begin_move_of_parcel() noexcept;
  bool peer_here_has_sent_none() noexcept;
  PostResult post_slowly(std::span<const std::byte> bytes, Format format, const PostOptions& options,
                         std::chrono::nanoseconds patience);
  void become_inert() noexcept override;
  UnshippedDirection& outgoing_unshipped(UnshippedChannel& channel) const noexcept {
    return channel.direction(static_cast<std::size_t>(side_));
  }
  UnshippedDirection& incoming_unshipped(UnshippedChannel& channel) const noexcept {
    return channel.direction(static_cast<std::size_t>(ring::other(side_)));
  }

  // In the loop: whether another port's message may come before the next one here.
  bool others_wait(Endpoint& endpoint) const noexcept {
    if (unshipped_ == nullptr) return false;
    const UnshippedDirection& incoming = incoming_unshipped(*unshipped_);
    // [U2] relaxed: as in bind.
    return incoming.served.load(std::memory_order_relaxed) &&
           !unshipped_->queue().is_first(incoming, endpoint.reader().taken_count());
  }

  // As many messages as come that are all in the ring, and seen for the first time.
  std::size_t take_plain(std::span<Received> batch, ring::Reader& reader) noexcept;
  void let_go(std::span<Received> batch, ring::Reader& reader) noexcept;
  void lay_lanes() noexcept;
  void open_lanes() noexcept;
  // While a message is being written, nobody else may use the cursor, and out of turn nobody may post.
  void open_posting_lane() noexcept;

  // delivery.cpp
  Endpoint::Take take(Endpoint& endpoint, MessageEvent& event);
  Endpoint::Take take_in_ring(Endpoint& endpoint, MessageEvent& event);
  Endpoint::Take find_message(Endpoint& endpoint, ring::Reader::Frame& frame, MessageEvent& event);
  Endpoint::Take open_frame(Endpoint& endpoint, const ring::Reader::Frame& frame, MessageEvent& event);
  Endpoint::Take open_enclosures(Endpoint& endpoint, const ring::Reader::Frame& frame, MessageEvent& event);
  bool take_off(Endpoint& endpoint, const ring::Reader::Frame& frame, Unopened& content);
  void collect_in_front(Endpoint& endpoint, const ring::Reader::Frame& until);
  [[noreturn]] void throw_no_room(const wire::Attachments& table, std::error_code refused) const;
  Endpoint::Take end_by_violation(Endpoint& endpoint) noexcept;
  bool enclose(const wire::Attachments& table, std::vector<FileDescriptor>& descriptors,
               Enclosures& enclosures, std::error_code& refused);

  // requests.cpp
  static std::uint64_t number_answered(const ring::Reader::Frame& frame) noexcept;
  // A reply that was taken, by reply_number_: to whoever waits for it.
  void answer(MessageEvent& event, PendingReply::Call call) noexcept;
  // Every reply that is there goes to its request, and no other message is touched.
  std::size_t settle_replies(Endpoint& endpoint);
  std::size_t settle_replies_ahead(Endpoint& endpoint);
  void take_ahead(Endpoint& endpoint, const ring::Reader::Frame& frame);
  void take_reply(Endpoint& endpoint, const ring::Reader::Frame& frame, MessageEvent& event);
  Endpoint::Take open_copy(Endpoint& endpoint, const ring::Reader::Frame& frame, MessageEvent& event);
  void pass(Endpoint& endpoint, const ring::Reader::Frame& frame) noexcept;
  bool was_taken_ahead(const ring::Reader::Frame& frame) const noexcept;
  bool pass_if_taken_ahead(Endpoint& endpoint, const ring::Reader::Frame& frame) noexcept;
  bool serve_disabled(Endpoint& endpoint);
  bool waits_ahead(Endpoint& endpoint) noexcept;
  // Nothing will come any more.
  void end_waits(ReplyStatus status) noexcept;
  bool waits_to_read() const noexcept;

  // merging.cpp
  void pass_all_on(PortState& to, PortState& asker);
  bool pass_on(Endpoint& endpoint, const ring::Reader::Frame& frame, PortState& to, PortState& asker);
  void take_all_out();
  bool take_out(Endpoint& endpoint, const ring::Reader::Frame& frame);
  bool take_reply_out(Endpoint& endpoint, const ring::Reader::Frame& frame);
  void take_earlier(MessageEvent& event) noexcept;
  void replace_endpoint(std::unique_ptr<Endpoint> endpoint) noexcept;

  // flow.cpp
  // Also of a port that has closed itself.
  Endpoint::Take take_queued(Endpoint& endpoint, MessageEvent& event);
  bool drain_is_due(Endpoint& endpoint) noexcept;
  bool below_threshold(Endpoint& endpoint) noexcept;
  // Nobody will tell when the peer has read or posted more.
  void look_later();

  // port_events.cpp
  bool serve_earlier(Endpoint& endpoint);
  bool serve_message(Endpoint& endpoint, Listeners* listeners);
  bool serve_close(Endpoint& endpoint);
  bool serve_drain(Endpoint& endpoint);
  void dispatch(Event& event) noexcept;
  // Whoever calls it shares them for as long as it takes.
  static void dispatch_to(Listeners& listeners, Event& event) noexcept;
  void warn_of_unread() noexcept;
  static constexpr std::int64_t kRetryNs = 10'000'000;  // after the kernel had no descriptors or no memory
  void retry_later(std::int64_t pause_ns);
  void look_again() noexcept;
  bool tell(const std::shared_ptr<LoopCore>& loop) noexcept;
  void rebind() noexcept;
  void unbind() noexcept;
  void share_thread_queue() noexcept;

  std::atomic<Endpoint*> used_{nullptr};
  lane::Lanes lanes_{*this};
  bool lent_ = false;
  Stalls stalls_;
  std::optional<Buffered> low_water_;
  Threshold threshold_;
  bool above_threshold_ = false;  // until none is left
  bool looks_later_ = false;
  PendingReplies replies_;
  std::vector<std::uint64_t> taken_ahead_;  // messages that are unread, and replies that were given out
  std::uint64_t reply_number_ = 0;          // which the reply answers that take_queued() has given
  std::uint64_t late_replies_ = 0;
  mutable std::mutex waiting_;  // guards the next two: close() ends the wait from any thread
  Callback<void()> readable_;   // and the loop that calls it
  std::shared_ptr<LoopCore> readable_in_;
  std::uint64_t large_in_hand_bytes_ = 0;  // in files of their own, of these events

  std::uint32_t fork_generation_ = os::fork_generation();
  ring::ChannelId channel_;
  ring::Side side_;
  Trust trust_;
  std::unique_ptr<Endpoint> endpoint_;
  std::mutex birth_;  // between unused, used and gone; taken behind NoForks
  Parcel parcel_;
  bool gone_ = false;
  bool moved_ = false;
  bool parcel_moving_ = false;
  bool close_wanted_ = false;  // by another thread, while the parcel was moving
  std::shared_ptr<PortState> kept_by_events_;
  std::shared_ptr<PortState> kept_by_space_;
  std::shared_ptr<PortState> left_behind_;

  std::shared_ptr<UnshippedChannel> unshipped_;  // null if it came from elsewhere

  std::shared_ptr<Listeners> listeners_;
  std::mutex binding_;  // what follows: changed by the loop's thread alone, and others ask
  LoopAttachment attachment_;
  std::thread::id loop_thread_;
  std::unique_ptr<EventLoop> foreign_loop_;
  bool enabled_ = false;
  bool ref_ = true;
  bool violated_ = false;  // by the peer; told to whoever listens here as the end of the channel
  bool close_told_ = false;
  CloseReason told_reason_ = CloseReason::closed;  // which that was
  std::atomic<bool> drain_wanted_{false};
  bool retrying_ = false;
  ForeignIntake intake_;
  bool took_packet_ = false;  // the last message that the loop was given
  bool warned_of_unread_ = false;
  std::uint64_t deliver_until_ =
      ~std::uint64_t{0};  // of a port that closed itself: messages there at that moment
  std::vector<std::unique_ptr<Endpoint>> retired_;  // of channels that it had before
  std::uint64_t posted_at_merge_ = 0;
  std::uint64_t earlier_count_ = 0;  // of these, and of those that were given out and are in hand
  std::list<MessageEvent> earlier_;  // unread when it changed channels: in front of what is in the ring
};

}  // namespace portolan::port
