// SPDX-License-Identifier: Apache-2.0

#include "port/port_state.hpp"

#include <algorithm>
#include <utility>

#include "os/pause.hpp"
#include "os/socket.hpp"
#include "port/reservation.hpp"

namespace portolan::port {

void PortState::take_parcel(Parcel parcel) noexcept {
  const NoForks no_forks;  // whoever looks for a channel's other end reads it
  channel_ = parcel.channel;
  side_ = parcel.side;
  trust_ = parcel.trust;
  parcel_ = std::move(parcel);
}

// In the place of one that is kept: other threads may be closing it.
void PortState::take_endpoint(std::unique_ptr<Endpoint> endpoint) noexcept {
  const NoForks no_forks;
  const std::lock_guard lock(birth_);
  if (endpoint_ != nullptr) retired_.push_back(std::move(endpoint_));
  channel_ = endpoint->segment().id();
  side_ = endpoint->side();
  trust_ = endpoint->segment().trust();
  endpoint_ = std::move(endpoint);
  lay_lanes();
  // [Q5] release; pairs with [Q1]: as [Q2].
  used_.store(endpoint_.get(), std::memory_order_release);
  open_lanes();
}

// Before the port's other thread can see the endpoint, for whichever comes first may open them.
void PortState::lay_lanes() noexcept {
  lanes_.writer_ = &endpoint_->writer();
  lanes_.waker_ = &endpoint_->reader_waker();
  lanes_.reader_ = &endpoint_->reader();
}

void PortState::open_lanes() noexcept {
  open_posting_lane();
  // A foreign peer's messages are copied first, and never come this way.
  const bool shut = trust_ == Trust::foreign || !earlier_.empty();
  // [Q8] release; pairs with [Q7], [Q9]: the cursor, and the endpoint that it is part of.
  lanes_.taking_.store(shut ? &lane::Standing::kNone : &endpoint_->standing(), std::memory_order_release);
}

void PortState::open_posting_lane() noexcept {
  Endpoint* const endpoint = used();
  const bool shut = endpoint == nullptr || lanes_.writing_.load(std::memory_order_relaxed) != 0;  // [U3]
  lanes_.posting_.store(shut ? &lane::Standing::kNone : &endpoint->standing(),
                        std::memory_order_release);  // [Q8]
}

PortState::~PortState() {
  end_waits(ReplyStatus::closed);
  unbind();
  // What it still had to do may hold it.
  if (foreign_loop_) EventLoopAccess::core(*foreign_loop_)->end();
  if (endpoint_ == nullptr && !gone_ && !forked()) close_parcel(parcel_, CloseReason::closed);
  withdraw();
}

std::string PortState::name() const {
  if (channel_ == ring::ChannelId{}) return "a detached port";
  if (const Endpoint* const endpoint = used(); endpoint != nullptr && !endpoint->label().empty())
    return '"' + endpoint->label() + '"';
  return "channel " + to_text(channel_);
}

void PortState::refuse_process(const char* call) const {
  throw InvalidStateError(std::string(call) + "(" + name() +
                          "): this is a forked child's copy of a port that stays with its parent; release() "
                          "it there and adopt() it here");
}

Endpoint* PortState::first_use() {
  check_process("MessagePort");
  const NoForks no_forks;  // before birth_, everywhere
  const std::lock_guard lock(birth_);
  if (endpoint_ != nullptr) return endpoint_.get();
  if (gone_ || parcel_moving_) return nullptr;
  Endpoint::Adoption adoption;
  endpoint_ = Endpoint::adopt(parcel_, ring::Adoption::after_move, adoption);
  if (endpoint_ == nullptr) {
    if (adoption.outcome == Endpoint::Adopted::refused)
      throw PortError(adoption.refused, "MessagePort(" + name() +
                                            "): the channel's memory cannot be mapped (" +
                                            adoption.refused.message() + "); free address space or memory");
    violated_ = adoption.outcome == Endpoint::Adopted::wrong;
    gone_ = true;
    parcel_ = {};
    return nullptr;
  }
  lay_lanes();
  // [Q2] release; pairs with [Q1]: the adopted endpoint, for the port's other thread.
  used_.store(endpoint_.get(), std::memory_order_release);
  open_lanes();
  return endpoint_.get();
}

bool PortState::gone() noexcept {
  if (forked()) return true;
  if (Endpoint* const endpoint = used()) return !endpoint->usable();
  const std::lock_guard lock(birth_);
  return endpoint_ == nullptr && (gone_ || parcel_moving_);
}

bool PortState::is_open() noexcept {
  if (forked()) return false;
  if (Endpoint* const endpoint = used()) return endpoint->usable() && !endpoint->peer_closed();
  const std::lock_guard lock(birth_);
  return !gone_ && !parcel_moving_ && !os::hung_up(parcel_.socket.get());
}

std::optional<CloseReason> PortState::close_reason() const noexcept {
  if (forked()) return std::nullopt;
  if (violated_ || close_told_) return violated_ ? CloseReason::protocol_error : told_reason_;
  const Endpoint* const endpoint = used();
  if (endpoint == nullptr || !endpoint->usable() || !endpoint->peer_closed()) return std::nullopt;
  return endpoint->close_reason();
}

void PortState::become_inert() noexcept {
  gone_ = true;
  parcel_.socket.reset();
  parcel_.segment.reset();
}

void PortState::close(CloseReason reason) noexcept {
  if (forked()) return;
  if (used() == nullptr) {
    const NoForks no_forks;
    const std::lock_guard lock(birth_);
    if (endpoint_ == nullptr) {
      // While its descriptors are being sent they must stay what they are.
      if (parcel_moving_)
        close_wanted_ = true;
      else if (!std::exchange(gone_, true))
        close_parcel(parcel_, reason);
      return;
    }
  }
  Endpoint* endpoint = used();
  bool first = endpoint->begin_close(reason);
  while (endpoint != used()) {  // a merge has put another one in its place
    endpoint = used();
    first = endpoint->begin_close(reason);
  }
  if (!first) return;
  std::unique_lock lock(binding_);
  // The loop that watches the socket lets go of it, and first delivers what is there. Where there is none, or
  // it has ended, there will be none: a port that is not open is not bound.
  const std::shared_ptr<LoopCore> loop = attachment_.core();
  const bool served = loop && !loop->ended();
  const bool own_loop = served && loop_thread_ == std::this_thread::get_id();
  lock.unlock();
  if (loop && !served) warn_of_unread();
  if (own_loop && enabled_ && !dry(*endpoint)) return;
  if (own_loop || !served) {
    unbind();
    endpoint->finish_close();
    end_waits(ReplyStatus::closed);
    // Whoever watches its descriptor looks at the port once more: a post may be waiting for room.
    if (own_loop && foreign_loop_) static_cast<void>(tell(loop));
    return;
  }
  // If it cannot be told, the hang-up of its own socket has it look, too.
  static_cast<void>(tell(loop));
}

void PortState::abandon() noexcept {
  close();
  if (Endpoint* const endpoint = used(); endpoint != nullptr && endpoint->status() == Status::closed) {
    unbind();
    endpoint->finish_close();
  }
  end_waits(ReplyStatus::closed);
  earlier_.clear();
  if (endpoint_ != nullptr && (earlier_count_ != 0 || endpoint_->reader().pinned()))
    kept_by_events_ = shared_from_this();
  if (writing() == Writing::space) kept_by_space_ = shared_from_this();
}

// A thread of the parent's may have held any lock at the fork, and have been changing what stands here; where
// no handler of the fork ran, malloc's lock, too. So nothing but the descriptors is given back: the rest
// stays, on the list of those that a fork must touch.
void PortState::leave_behind(std::shared_ptr<PortState> state,
                             std::shared_ptr<Listeners> listeners) noexcept {
  PortState& port = *state;
  if (port.endpoint_ != nullptr) port.endpoint_->leave_behind();
  port.become_inert();
  if (port.listeners_ == nullptr) port.listeners_ = std::move(listeners);
  if (port.left_behind_ == nullptr) port.left_behind_ = std::move(state);
}

void PortState::release(std::uint64_t sequence, const std::byte* frame, std::uint32_t frame_bytes,
                        std::uint64_t large_bytes) noexcept {
  Endpoint& endpoint = *endpoint_;
  ring::Reader& reader = endpoint.reader();
  if (frame == nullptr) {
    --earlier_count_;
    if (kept_by_events_ && earlier_count_ == 0 && !reader.pinned())
      const std::shared_ptr<PortState> last = std::move(kept_by_events_);
    return;
  }
  ring::Extent& extent = *reader.extent_of(frame);
  if (!endpoint.usable()) {
    reader.unpin(extent);
  } else {
    const auto past_bytes = static_cast<std::uint64_t>(frame - extent.begin) + ring::round_up_8(frame_bytes);
    reader.release(extent, sequence, past_bytes, frame_bytes);
    if (large_bytes != 0) {
      // Less only after a move that failed, which had counted them.
      const std::uint64_t uncounted = std::min(large_bytes, large_in_hand_bytes_);
      large_in_hand_bytes_ -= uncounted;
      reader.count_large_body(uncounted);
    }
    endpoint.after_release();
  }
  if (kept_by_events_ && earlier_count_ == 0 && !reader.pinned())
    const std::shared_ptr<PortState> last = std::move(kept_by_events_);
}

ring::Extent& PortState::hold(const std::byte* frame) noexcept {
  ring::Extent& extent = *endpoint_->reader().extent_of(frame);
  extent.hold();
  return extent;
}

PostResult PortState::post_slowly(std::span<const std::byte> bytes, Format format, const PostOptions& options,
                                  std::chrono::nanoseconds patience) {
  if (out_of_turn() && !forked() && use() != nullptr) {
    take_turn();
    return post_flat(bytes, format, options, patience);
  }
  Reservation reservation(shared_from_this(), bytes.size(), Writing::message);
  reservation.check_list(options.transfer);
  reservation.write(bytes.data(), bytes.size());
  return reservation.send(format, patience);
}

void PortState::try_receive(Received& received) {
  if (lane::Loan loan; lanes_.lend(loan)) {
    received.event_.show(loan, lanes_);
    received.outcome_ = ReceiveStatus::message;
    return;
  }
  // What somebody who polls mostly finds: the sooner this comes to an end, the sooner the next look.
  if (lanes_.dry()) {
    used()->hold_off();
    received.outcome_ = ReceiveStatus::empty;
    return;
  }
  received.outcome_ = ReceiveStatus::closed;
  check_process("receive");
  Endpoint* const endpoint = use();
  // A sleeper that was woken by a move: the mover has the cursor now.
  if (endpoint == nullptr || endpoint->status() == Status::moving) return;
  static_cast<void>(endpoint->pass_all());
  switch (take(*endpoint, received.event_)) {
    case Endpoint::Take::message:
      received.outcome_ = ReceiveStatus::message;
      break;
    case Endpoint::Take::dry:
      endpoint->hold_off();
      received.outcome_ = ReceiveStatus::empty;
      break;
    case Endpoint::Take::waits:
      received.outcome_ = ReceiveStatus::empty;
      break;
    default:
      break;
  }
}

void PortState::receive(Received& received, std::int64_t deadline_ns, const std::stop_token& stop) {
  for (;;) {
    try_receive(received);
    if (received.outcome_ != ReceiveStatus::empty) [[likely]]
      return;
    switch (held() ? endpoint_->pause(ForeignIntake::kPauseNs, deadline_ns, stop)
                   : endpoint_->wait_for_message(deadline_ns, stop)) {
      case Endpoint::Wait::look_again:
        break;
      case Endpoint::Wait::timed_out:
        received.outcome_ = ReceiveStatus::timed_out;
        return;
      case Endpoint::Wait::stopped:
        received.outcome_ = ReceiveStatus::stopped;
        return;
      case Endpoint::Wait::refused:
        throw PortError(endpoint_->refused(), "receive(" + name() + "): no descriptors to sleep on (" +
                                                  endpoint_->refused().message() +
                                                  "); close some or raise RLIMIT_NOFILE (ulimit -n)");
    }
  }
}

// Most of a batch's former events are plain, and all that they hold is a pin of the extent that is being
// read: the message that comes into their place takes it over. Ends before one that has to be let go of.
std::size_t PortState::take_plain(std::span<Received> batch, ring::Reader& reader) noexcept {
  const ring::Reader::Bounds read = reader.bounds();
  const lane::Lanes* const ours = &lanes_;
  std::uint32_t empty = 0;
  const auto show = [=, &empty](Received& slot, const lane::Loan& loan) {
    MessageEvent& event = slot.event_;
    if (!event.plain()) [[unlikely]]
      return false;
    if (event.lanes_ != ours || !read.contain(event.frame_)) [[unlikely]] {
      if (event.lanes_ != nullptr) return false;
      event.lanes_ = ours;
      event.trusted_ = true;
      ++empty;
    }
    event.show(loan);
    slot.outcome_ = ReceiveStatus::message;
    return true;
  };
  const std::size_t count = reader.take_plain(batch.data(), batch.data() + batch.size(), show);
  if (count != empty) reader.unpin_read(static_cast<std::uint32_t>(count) - empty);
  return count;
}

void PortState::let_go(std::span<Received> batch, ring::Reader& reader) noexcept {
  const ring::Reader::Bounds read = reader.bounds();
  std::uint32_t unpinned = 0;
  for (Received& former : batch) {
    MessageEvent& event = former.event_;
    const bool empty = event.lanes_ == nullptr;
    if (event.plain() && (empty || (event.lanes_ == &lanes_ && read.contain(event.frame_)))) [[likely]] {
      if (empty && !former) continue;
      unpinned += empty ? 0 : 1;
      event.clear();
      former.outcome_ = ReceiveStatus::empty;
    } else {
      former = Received();
    }
  }
  if (unpinned != 0) reader.unpin_read(unpinned);
}

std::size_t PortState::receive_batch(std::span<Received> batch) {
  check_process("receive_batch");
  Endpoint* const endpoint = use();
  if (endpoint == nullptr || endpoint->status() == Status::moving) return 0;
  // Passed all at once, so that letting them go stores nothing.
  ring::Reader& reader = endpoint->reader();
  if (!endpoint->pass_all()) return let_go(batch, reader), 0;
  const bool plain = trust_ == Trust::same_user && endpoint->usable() && earlier_.empty();
  std::size_t count = plain ? take_plain(batch, reader) : 0;
  if (count == batch.size() && count != 0) [[likely]]
    return count;
  let_go(batch.subspan(count), reader);
  endpoint->after_release();
  try {
    for (; count < batch.size(); ++count) {
      if (plain) count += take_plain(batch.subspan(count), reader);
      if (count == batch.size() || take(*endpoint, batch[count].event_) != Endpoint::Take::message) break;
      batch[count].outcome_ = ReceiveStatus::message;
    }
  } catch (const std::exception&) {  // the kernel, or no memory
    if (count == 0) throw;           // else the caller has those first; the one behind them is refused again
  }
  if (count == 0) endpoint->hold_off();
  return count;
}

void PortState::make_unshipped(const std::shared_ptr<PortState>& a, const std::shared_ptr<PortState>& b) {
  const std::shared_ptr<UnshippedChannel> channel = UnshippedChannel::make();
  if (!channel) return;
  for (const std::shared_ptr<PortState>& port : {a, b}) {
    port->outgoing_unshipped(*channel).poster = port;
    port->incoming_unshipped(*channel).receiver = port;
    port->unshipped_ = channel;
    port->end_turn();
  }
}

void PortState::take_turn() {
  if (unshipped_ && unshipped_->stays_here())
    unshipped_->queue().take_turn({unshipped_, &outgoing_unshipped(*unshipped_)},
                                  used()->writer().message_count(), used()->unread().first);
  // [U4] relaxed: as [U3].
  lanes_.writing_.fetch_and(static_cast<std::uint8_t>(~lane::Lanes::kOutOfTurn), std::memory_order_relaxed);
  open_posting_lane();
}

// The posting thread may be another one by now, and be writing.
void PortState::end_turn() noexcept {
  // [U4] relaxed: as [U3].
  lanes_.writing_.fetch_or(lane::Lanes::kOutOfTurn, std::memory_order_relaxed);
  open_posting_lane();
}

}  // namespace portolan::port
