// SPDX-License-Identifier: Apache-2.0

// Requests and their replies: docs/ring-protocol.md, "Requests and replies". A reply may be taken while other
// messages are unread in front of it; it is copied out, and its frame is passed in its turn.

#include <algorithm>
#include <cstring>
#include <utility>

#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/enclosures.hpp"
#include "port/port_state.hpp"
#include "port/reporting.hpp"
#include "port/reservation.hpp"
#include "wire/bytes.hpp"

namespace portolan::port {

namespace {

std::int64_t deadline_after(std::chrono::nanoseconds patience) noexcept {
  if (patience == std::chrono::nanoseconds::max()) return kForever;  // without a look at the clock
  const std::int64_t now_ns = os::monotonic_ns();
  if (patience.count() > std::numeric_limits<std::int64_t>::max() - now_ns) return kForever;
  return now_ns + std::max<std::int64_t>(0, patience.count());
}

}  // namespace

std::uint64_t PortState::number_answered(const ring::Reader::Frame& frame) noexcept {
  const auto word = wire::load_once<sizeof(std::uint64_t)>({frame.payload, sizeof(std::uint64_t)});
  return wire::get<std::uint64_t>(word, 0);
}

std::shared_ptr<PendingReply> PortState::request(void* value, void (*encoder)(void*, Sink&), Format format,
                                                 const RequestOptions& options,
                                                 std::shared_ptr<Listeners> listeners) {
  Reservation reservation(shared_from_this(), 0, Writing::message);
  reservation.check_list(options.transfer);
  encoder(value, reservation);
  auto reply =
      std::make_shared<PendingReply>(weak_from_this(), std::move(listeners), deadline_after(options.timeout));
  reply->set_number(reservation.become_request());
  // Before it is posted, since its reply may come before this returns.
  replies_.add(reply);
  PostResult result = PostResult::full;
  try {
    result = reservation.send(format, std::chrono::nanoseconds::zero());
  } catch (...) {
    forget_request(*reply);
    throw;
  }
  if (result == PostResult::posted) return reply;
  forget_request(*reply);
  if (result == PostResult::full) return nullptr;
  reply->settle(result == PostResult::detached ? ReplyStatus::detached : ReplyStatus::closed, nullptr,
                PendingReply::Call::later);
  return reply;
}

PostResult PortState::reply(std::uint64_t number, void* value, void (*encoder)(void*, Sink&), Format format,
                            const PostOptions& options) {
  Reservation reservation(shared_from_this(), 0, Writing::message);
  reservation.check_list(options.transfer);
  reservation.become_reply(number);
  encoder(value, reservation);
  return reservation.send(format, std::chrono::nanoseconds::zero());
}

void PortState::answer(MessageEvent& event, PendingReply::Call call) noexcept {
  if (const std::shared_ptr<PendingReply> reply = replies_.take(reply_number_))
    return reply->settle(event.format() == Format::refusal ? ReplyStatus::refused : ReplyStatus::answered,
                         &event, call);
  ++late_replies_;
  const MessageEvent dropped = std::move(event);
}

bool PortState::was_taken_ahead(const ring::Reader::Frame& frame) const noexcept {
  return std::find(taken_ahead_.begin(), taken_ahead_.end(), frame.sequence) != taken_ahead_.end();
}

// A reply that was given out ahead of its turn.
bool PortState::pass_if_taken_ahead(Endpoint& endpoint, const ring::Reader::Frame& frame) noexcept {
  const auto found = std::find(taken_ahead_.begin(), taken_ahead_.end(), frame.sequence);
  if (found == taken_ahead_.end()) return false;
  taken_ahead_.erase(found);
  pass(endpoint, frame);
  return true;
}

// Taken and let go of at once.
void PortState::pass(Endpoint& endpoint, const ring::Reader::Frame& frame) noexcept {
  const std::uint64_t large_bytes = ring::large_body_bytes(frame.header, frame.payload);
  large_in_hand_bytes_ += large_bytes;
  endpoint.reader().take(frame);
  release(frame.sequence, frame.payload, frame.header.payload_bytes(), large_bytes);
}

void PortState::take_reply(Endpoint& endpoint, const ring::Reader::Frame& frame, MessageEvent& event) {
  if (pass_if_taken_ahead(endpoint, frame)) return;
  if (take_in_ring(endpoint, event) == Endpoint::Take::reply) answer(event, PendingReply::Call::later);
}

std::size_t PortState::settle_replies(Endpoint& endpoint) {
  std::size_t settled = 0;
  ring::Reader::Frame frame;
  MessageEvent event{"message"};
  // In their turn they are taken as any message is, in place.
  for (;; ++settled) {
    const Endpoint::Take found = find_message(endpoint, frame, event);
    if (found != Endpoint::Take::message) return settled;
    if (!frame.header.is_reply()) break;
    take_reply(endpoint, frame, event);
  }
  return settled + settle_replies_ahead(endpoint);
}

std::size_t PortState::settle_replies_ahead(Endpoint& endpoint) {
  std::size_t settled = 0;
  ring::Reader::Frame frame;
  while (!replies_.empty()) {
    switch (endpoint.scout().look(frame)) {
      case ring::Reader::Look::message:
        break;
      case ring::Reader::Look::violation:
        end_by_violation(endpoint);
        return settled;
      default:
        return settled;
    }
    if (!frame.header.is_reply() || !replies_.has(number_answered(frame))) continue;
    if (was_taken_ahead(frame)) continue;
    try {
      take_ahead(endpoint, frame);
    } catch (...) {
      endpoint.scout().start_over();
      throw;
    }
    ++settled;
  }
  return settled;
}

// Shows a copy of the payload. Its memory comes first: what is refused leaves the message as it was.
Endpoint::Take PortState::open_copy(Endpoint& endpoint, const ring::Reader::Frame& frame,
                                    MessageEvent& event) {
  auto spare = std::make_unique<Enclosures>();
  if (const std::size_t most_bytes = frame.header.payload_bytes(); most_bytes != 0)
    spare->private_copy.reset(new std::byte[most_bytes]);
  const Endpoint::Take opened = open_frame(endpoint, frame, event);
  if (opened != Endpoint::Take::message) return opened;
  std::unique_ptr<std::byte[]> copy = std::move(spare->private_copy);
  if (event.enclosures_ == nullptr) event.enclosures_ = spare.release();
  Enclosures& enclosures = *event.enclosures_;
  if (enclosures.body || enclosures.private_copy || event.size_bytes_ == 0) return opened;
  std::memcpy(copy.get(), event.data_, event.size_bytes_);
  event.data_ = copy.get();
  enclosures.private_copy = std::move(copy);
  return opened;
}

// The payload is copied: an event in place would hold the cursor where it is, and its extent is not the
// reader's yet.
void PortState::take_ahead(Endpoint& endpoint, const ring::Reader::Frame& frame) {
  taken_ahead_.reserve(taken_ahead_.size() + 1);
  MessageEvent event{"message"};
  if (frame.header.attachments()) collect_in_front(endpoint, frame);
  if (open_copy(endpoint, frame, event) != Endpoint::Take::message) return;
  taken_ahead_.push_back(frame.sequence);
  reply_number_ = number_answered(frame);
  answer(event, PendingReply::Call::later);
}

void PortState::wait_for_reply(PendingReply& reply) {
  check_loop_thread("Reply::get");
  while (reply.status() == ReplyStatus::pending) {
    check_process("Reply::get");
    Endpoint* const endpoint = use();
    if (endpoint == nullptr || endpoint->status() == Status::detached)
      return end_waits(ReplyStatus::detached);
    settle_replies(*endpoint);
    if (reply.status() != ReplyStatus::pending) return;
    if (endpoint->status() == Status::closed || (endpoint->peer_closed() && endpoint->scout().dry())) {
      // What was published before the end is found by one more look.
      settle_replies(*endpoint);
      return end_waits(ReplyStatus::closed);
    }
    const Endpoint::Wait woken = endpoint->dry() ? endpoint->wait_for_message(reply.deadline_ns(), {})
                                                 : endpoint->wait_ahead(reply.deadline_ns());
    if (woken == Endpoint::Wait::timed_out) {
      forget_request(reply);
      reply.settle(ReplyStatus::timed_out, nullptr, PendingReply::Call::later);
    } else if (woken == Endpoint::Wait::refused) {
      throw PortError(endpoint->refused(), "Reply::get(" + name() + "): no descriptors to sleep on (" +
                                               endpoint->refused().message() +
                                               "); close some or raise RLIMIT_NOFILE (ulimit -n)");
    }
  }
}

std::shared_ptr<LoopCore> PortState::bind_for_replies(const std::shared_ptr<Listeners>& listeners) {
  if (!attachment_) bind(EventLoop::current(), listeners);
  if (!attachment_) return end_waits(ReplyStatus::closed), nullptr;
  look_again();
  return attachment_.core();
}

void PortState::when_readable(Callback<void()> call, std::shared_ptr<Listeners> listeners) {
  check_process("when_readable");
  check_loop_thread("when_readable");
  Callback<void()> former;  // of the user, and destroyed without the lock
  {
    const std::lock_guard lock(waiting_);
    former = std::move(readable_);
  }
  if (!call) return;
  if (enabled_)
    throw InvalidStateError(
        "when_readable(" + name() +
        "): the queue is enabled, and its messages go to on_message; use one or the other");
  const std::shared_ptr<LoopCore> loop =
      attachment_ ? attachment_.core() : EventLoopAccess::core(EventLoop::current());
  if (!attachment_) bind(EventLoop::current(), std::move(listeners));
  if (!attachment_) return loop->post(std::move(call));  // there is nothing to wait for
  {
    const std::lock_guard lock(waiting_);
    readable_ = std::move(call);
    readable_in_ = loop;
  }
  look_again();
}

bool PortState::waits_to_read() const noexcept {
  const std::lock_guard lock(waiting_);
  return static_cast<bool>(readable_);
}

bool PortState::waits_ahead(Endpoint& endpoint) noexcept {
  return waits_to_read() || (!replies_.empty() && (endpoint.peer_closed() || !endpoint.scout().dry()));
}

bool PortState::serve_disabled(Endpoint& endpoint) {
  if (retrying_ || (replies_.empty() && !waits_to_read()) || dry(endpoint)) return false;
  const bool ended = endpoint.peer_closed();  // asked before the look, as in Endpoint::look
  try {
    if (settle_replies(endpoint) != 0) return true;
  } catch (const std::exception&) {  // the kernel, or no memory
    retry_later(kRetryNs);
    return false;
  }
  if (ended && !replies_.empty()) return replies_.settle_all(ReplyStatus::closed), true;
  if (dry(endpoint)) return false;
  if (held()) return retry_later(ForeignIntake::kPauseNs), false;
  Callback<void()> call;
  {
    const std::lock_guard lock(waiting_);
    call = std::move(readable_);
    readable_in_.reset();
  }
  if (!call) return false;
  try {
    call();
  } catch (...) {
    static_cast<void>(report(std::current_exception()));
  }
  return true;
}

void PortState::end_waits(ReplyStatus status) noexcept {
  replies_.settle_all(status);
  std::shared_ptr<LoopCore> loop;
  Callback<void()> call;
  {
    const std::lock_guard lock(waiting_);
    loop = std::move(readable_in_);
    call = std::move(readable_);
  }
  if (!loop || !call) return;
  try {
    loop->post(std::move(call));
  } catch (const std::bad_alloc&) {  // he hears of it with the next thing that happens in his loop
  }
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

Reply MessagePort::submit_request(void* value, Encoder encoder, Format format,
                                  const RequestOptions& options) {
  if (!state_) return port::drop_list(options.transfer), Reply();
  auto reply = state_->request(value, encoder, format, options, port::EventTargetAccess::listeners(*this));
  if (!reply) throw_full("request");
  return Reply(std::move(reply));
}

std::size_t MessagePort::pending_requests() const noexcept {
  return state_ ? state_->pending_requests() : 0;
}

void MessageEvent::send_reply(void* value, void (*encoder)(void*, Sink&), Format format,
                              const PostOptions& options) {
  // A messageerror is in no port's hand, and may be answered all the same.
  const std::shared_ptr<port::PortState> asked = enclosures_ != nullptr ? enclosures_->asked.lock() : nullptr;
  if (!is_request() || (lanes_ == nullptr && !asked))
    throw InvalidStateError(
        "reply: this message is no request, or was answered already; it has to come by request(), and is "
        "answered once, before keep()");
  port::PortState& port = asked ? *asked : lanes_->port();
  if (!asked && frame_ == nullptr) {
    static_cast<void>(port::drop_list(options.transfer));  // who asked has been merged away
  } else if (port.reply(sequence_, value, encoder, format, options) == PostResult::full)
    throw QueueFullError("reply(" + port.name() +
                         "): the peer has not read enough of what was posted; wait with on_drain(), or raise "
                         "ChannelOptions::limit_bytes");
  marks_ = static_cast<std::uint8_t>(marks_ & ~kRequest);
}

void MessageEvent::refuse(std::string_view why) {
  why = why.substr(0, 1000);
  send_reply(&why,
             [](void* held, Sink& sink) {
               const auto& words = *static_cast<std::string_view*>(held);
               sink.write(words.data(), words.size());
             },
             Format::refusal, {});
}

}  // namespace v1
}  // namespace portolan
