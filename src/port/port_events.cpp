// SPDX-License-Identifier: Apache-2.0

// A port as its loop sees it: a source of messages, of one close, and of room after there was none.

#include <chrono>
#include <new>
#include <utility>

#include "os/socket.hpp"
#include "port/enclosures.hpp"
#include "port/logging.hpp"
#include "port/port_state.hpp"
#include "port/reporting.hpp"

namespace portolan::port {

namespace {

class DrainEvent final : public Event {
 public:
  DrainEvent() noexcept : Event(LibraryMade{"drain"}) {}
};

}  // namespace

void PortState::bind(EventLoop& loop, std::shared_ptr<Listeners> listeners) {
  check_process("start");
  check_loop_thread("attach");
  listeners_ = std::move(listeners);
  if (attachment_) return;
  Endpoint* const endpoint = use();
  // Found before anybody listened.
  if (violated_ && !std::exchange(close_told_, true))
    loop.post([self = shared_from_this()] {
      CloseEvent event(CloseReason::protocol_error);
      self->dispatch(event);
    });
  const std::lock_guard lock(binding_);
  if (endpoint == nullptr || endpoint->status() != Status::open) return;
  loop_thread_ = std::this_thread::get_id();
  attachment_ = LoopAttachment(loop, *this);
  share_thread_queue();
}

// Other ports of this thread may have to wait for its messages from now on.
void PortState::share_thread_queue() noexcept {
  if (!unshipped_) return;
  if (foreign_loop_) unshipped_->leave();
  // [U2] relaxed: read by this thread, which does it.
  if (unshipped_->stays_here()) incoming_unshipped(*unshipped_).served.store(true, std::memory_order_relaxed);
}

void PortState::unbind() noexcept {
  const std::lock_guard lock(binding_);
  attachment_.detach();
  if (!unshipped_) return;
  UnshippedDirection& incoming = incoming_unshipped(*unshipped_);
  // [U2] relaxed: a thread that sees it late finds nothing to serve.
  const bool served = incoming.served.exchange(false, std::memory_order_relaxed);
  if (served && unshipped_->stays_here()) unshipped_->queue().remove_waiting(incoming);
}

void PortState::rebind() noexcept {
  const std::lock_guard lock(binding_);
  if (!listeners_ || loop_thread_ != std::this_thread::get_id()) return;
  if (endpoint_->status() != Status::open) return;
  try {
    attachment_ = LoopAttachment(foreign_loop_ ? *foreign_loop_ : EventLoop::current(), *this);
    share_thread_queue();
  } catch (const PortError&) {
    // No descriptors for the loop's own epoll, which it had a moment ago: the next bind tries again.
  } catch (const std::bad_alloc&) {
    // Likewise; its place in the loop took no memory a moment ago.
  }
}

void PortState::enable() {
  check_loop_thread("start");
  if (unshipped_ && unshipped_->stays_here())
    unshipped_->queue().add_waiting({unshipped_, &incoming_unshipped(*unshipped_)});
  enabled_ = true;
  // A sleeping loop does not look at a queue that was disabled when it fell asleep.
  look_again();
}

// The loop serves the port in its next turn, whether or not it is asleep there.
void PortState::look_again() noexcept {
  attachment_.wake();
}

// The same from any thread. False: no memory to say so.
bool PortState::tell(const std::shared_ptr<LoopCore>& loop) noexcept {
  try {
    loop->post([self = weak_from_this()] {
      if (const auto state = self.lock()) state->look_again();
    });
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void PortState::want_drain() noexcept {
  // [Q6] relaxed: the loop hears of it through its queue; one that falls asleep meanwhile is woken by that.
  if (drain_wanted_.exchange(true, std::memory_order_relaxed)) return;
  std::unique_lock lock(binding_);
  const std::shared_ptr<LoopCore> loop = attachment_.core();
  const bool own_loop = loop_thread_ == std::this_thread::get_id();
  lock.unlock();
  if (!loop) return;  // one that it will be bound to looks
  if (own_loop) return look_again();
  if (!tell(loop)) drain_wanted_.store(false, std::memory_order_relaxed);  // [Q6]; the next full post tries
}

int PortState::foreign_descriptor(std::shared_ptr<Listeners> listeners) {
  check_loop_thread("native_handle");
  if (!foreign_loop_) {
    unbind();
    foreign_loop_.reset(new EventLoop(EventLoopAccess::make(std::make_shared<LoopCore>())));
  }
  bind(*foreign_loop_, std::move(listeners));
  return foreign_loop_->native_handle();
}

std::size_t PortState::dispatch_what_is_there() {
  check_process("dispatch");
  if (!foreign_loop_) return 0;
  check_loop_thread("dispatch");
  Turn turn;  // listeners report to this thread's loop, whose turn this is not
  const std::size_t handled = foreign_loop_->poll();
  turn.end();
  return handled;
}

int PortState::descriptor() const noexcept {
  const Endpoint* const endpoint = used();
  return endpoint != nullptr ? endpoint->socket() : -1;
}

bool PortState::keeps_loop_alive() const noexcept {
  const Endpoint* const endpoint = used();
  if (endpoint != nullptr && !replies_.empty()) return true;
  if (endpoint == nullptr || !ref_) return false;
  if (endpoint->status() == Status::closed) return true;  // its queue is still to be delivered
  if (waits_to_read()) return true;
  return endpoint->status() == Status::open && !close_told_ && listeners_ &&
         (listeners_->has("message") || listeners_->has("messageerror") || listeners_->has("close") ||
          listeners_->has("drain"));
}

bool PortState::ready() noexcept {
  Endpoint* const endpoint = used();
  if (endpoint == nullptr || retrying_) return false;
  if (endpoint->status() != Status::open) return true;
  if (!dry(*endpoint)) return (enabled_ && !below_threshold(*endpoint)) || waits_ahead(*endpoint);
  if (endpoint->peer_closed()) return !close_told_;
  // [Q6] relaxed: as in want_drain.
  return drain_wanted_.load(std::memory_order_relaxed) && drain_is_due(*endpoint);
}

bool PortState::announce_sleep(bool deep) noexcept {
  Endpoint* const endpoint = used();
  if (endpoint == nullptr) return true;
  if (retrying_) return true;
  endpoint->look_for_hang_up();
  if (ready()) return false;
  endpoint->give_back_idle_blocks();
  const bool for_room = drain_wanted_.load(std::memory_order_relaxed);  // [Q6]
  if ((for_room && low_water_) || (enabled_ && below_threshold(*endpoint))) look_later();
  return endpoint->announce_sleep(deep, for_room, !enabled_ && !replies_.empty());
}

void PortState::announce_awake() noexcept {
  Endpoint* const endpoint = used();
  if (endpoint != nullptr && endpoint->status() == Status::open) endpoint->announce_awake();
}

void PortState::tidy() noexcept {
  Endpoint* const endpoint = used();
  if (endpoint != nullptr && endpoint->usable()) endpoint->give_back_idle_blocks();
}

std::size_t PortState::serve(std::size_t most) {
  // A listener may destroy the port, or bind it to others.
  const std::shared_ptr<PortState> self = shared_from_this();
  const std::shared_ptr<Listeners> listeners = listeners_;
  std::size_t served = 0;
  // A message with descriptors costs as much as hundreds without, and ends the port's share of this turn.
  for (took_packet_ = false; served < most && !took_packet_; ++served) {
    Endpoint* const endpoint = used();
    if (endpoint == nullptr || !attachment_ || listeners_ != listeners) return served;
    if (others_wait(*endpoint) && serve_earlier(*endpoint)) continue;
    if (!enabled_ && serve_disabled(*endpoint)) continue;
    if (below_threshold(*endpoint)) {
      if (serve_drain(*endpoint)) continue;
      break;
    }
    if (serve_drain(*endpoint) || (enabled_ && serve_message(*endpoint, listeners.get())) ||
        serve_close(*endpoint))
      continue;
    // Closed here, by a listener or another thread, and its queue is delivered: the loop lets go of the
    // socket, then it is closed.
    if (endpoint->status() == Status::closed && !retrying_) {
      unbind();
      endpoint->finish_close();
      end_waits(ReplyStatus::closed);
    }
    break;
  }
  return served;
}

// A message of another port of this thread that comes before the next one here.
bool PortState::serve_earlier(Endpoint& endpoint) {
  UnshippedQueue& queue = unshipped_->queue();
  while (has_message_to_serve() && unshipped_->stays_here()) {
    const std::shared_ptr<PortState> first =
        queue.first_before(incoming_unshipped(*unshipped_), endpoint.reader().taken_count());
    if (!first) return false;
    if (first->serve(1) != 0) return true;
    queue.pass_over_first();
  }
  return false;
}

bool PortState::has_message_to_serve() noexcept {
  Endpoint* const endpoint = used();
  return endpoint != nullptr && enabled_ && !retrying_ && !violated_ && attachment_ && !dry(*endpoint);
}

bool PortState::serve_message(Endpoint& endpoint, Listeners* listeners) {
  if (retrying_ || violated_) return false;
  if (lane::Loan loan; lanes_.lend(loan)) [[likely]] {
    MessageEvent event(loan, lanes_);
    if (listeners != nullptr) dispatch_to(*listeners, event);
    return true;
  }
  if (endpoint.status() == Status::closed && earlier_.empty()) {
    // What was queued when the port closed itself is still delivered; what the peer posted since is not.
    if (deliver_until_ == ~std::uint64_t{0}) deliver_until_ = endpoint.posted_by_peer();
    if (endpoint.reader().taken_count() >= deliver_until_) return false;
  }
  static_cast<void>(endpoint.pass_all());
  MessageEvent event{"message"};
  try {
    const std::uint64_t packets = endpoint.packets_collected();
    const Endpoint::Take taken = take_queued(endpoint, event);
    took_packet_ = endpoint.packets_collected() != packets;
    if (took_packet_) attachment_.core()->look_next();
    if (taken == Endpoint::Take::reply) return answer(event, PendingReply::Call::now), true;
    if (taken == Endpoint::Take::waits) return retry_later(ForeignIntake::kPauseNs), false;
    if (taken != Endpoint::Take::message) return false;
  } catch (const PortError&) {
    retry_later(kRetryNs);
    return false;
  } catch (const std::bad_alloc&) {
    retry_later(kRetryNs);
    return false;
  }
  if (event.enclosures_ != nullptr && event.enclosures_->broken) {
    dispatch_message_error(event, kCutOff);
  } else {
    dispatch(event);
  }
  return true;
}

bool PortState::serve_close(Endpoint& endpoint) {
  const bool ended = endpoint.status() == Status::open && endpoint.peer_closed() && dry(endpoint);
  if (close_told_ || !(ended || violated_)) return false;
  close_told_ = true;
  end_waits(ReplyStatus::closed);
  CloseEvent event(violated_ ? CloseReason::protocol_error : endpoint.close_reason());
  told_reason_ = event.reason();
  dispatch(event);
  close();
  return true;
}

bool PortState::serve_drain(Endpoint& endpoint) {
  // [Q6] relaxed: as in want_drain.
  if (!drain_wanted_.load(std::memory_order_relaxed) || endpoint.status() != Status::open ||
      !drain_is_due(endpoint))
    return false;
  drain_wanted_.store(false, std::memory_order_relaxed);  // [Q6] before the listener, who may post until full
  DrainEvent event;
  dispatch(event);
  return true;
}

void PortState::dispatch(Event& event) noexcept {
  const std::shared_ptr<Listeners> listeners = listeners_;
  if (listeners) dispatch_to(*listeners, event);
}

void PortState::dispatch_to(Listeners& listeners, Event& event) noexcept {
  try {
    listeners.dispatch(event);
  } catch (...) {
    static_cast<void>(report(std::current_exception()));
  }
}

// Of the message nothing is shown; what came along is lost with it, and the peers of its ports get `close`.
void PortState::dispatch_message_error(MessageEvent& message, std::string_view why) {
  if (message.lanes_ == nullptr) return;
  PortState& port = message.lanes_->port();
  MessageEvent error{"messageerror"};
  error.format_ = message.format_;
  error.marks_ = message.marks_;
  error.sequence_ = message.sequence_;
  try {
    error.enclosures_ = new Enclosures();
    if (message.frame_ != nullptr) error.enclosures_->asked = port.weak_from_this();
    error.enclosures_->what = why;
  } catch (const std::bad_alloc&) {  // the event counts for more than its reason
    error.marks_ &= MessageContent::kRedelivered;
  }
  port.dispatch(error);
}

// For a port whose loop has ended, or is about to.
void PortState::warn_of_unread() noexcept {
  Endpoint* const endpoint = used();
  if (forked() || endpoint == nullptr || endpoint->status() == Status::detached || dry(*endpoint) ||
      std::exchange(warned_of_unread_, true))
    return;
  log(LogLevel::warning, [&] {
    return "port " + name() +
           ": its loop has ended, and messages are left unread; run the loop until they are handled, or move "
           "the port to another thread first";
  });
}

void PortState::check_loop_thread([[maybe_unused]] const char* call) {
#ifndef NDEBUG
  const std::lock_guard lock(binding_);
  if (!attachment_ || attachment_.core()->ended() || loop_thread_ == std::this_thread::get_id()) return;
  throw InvalidStateError(std::string(call) + "(" + name() +
                          "): this port is bound to another thread's loop; post() it there");
#endif
}

// The next message stays: the kernel has no descriptors or no memory for it, or those of earlier ones are
// still to be closed. Its sleep word stays awake, and a timer has the loop look again.
void PortState::retry_later(std::int64_t pause_ns) {
  if (retrying_) return;
  EventLoop& loop = foreign_loop_ ? *foreign_loop_ : EventLoop::current();
  try {
    loop.set_timeout(std::chrono::nanoseconds(pause_ns), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->retrying_ = false;
      self->look_again();
    });
    retrying_ = true;
  } catch (const std::bad_alloc&) {
    // No memory for a timer either: the port stays ready, and the loop looks again in its next turn.
  }
}

}  // namespace portolan::port
