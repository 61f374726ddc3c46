// SPDX-License-Identifier: Apache-2.0

#include "port/pending_reply.hpp"

#include <exception>
#include <utility>

#include <portolan/event_loop.hpp>

#include "os/pause.hpp"
#include "port/loop_access.hpp"
#include "port/port_state.hpp"
#include "port/reporting.hpp"

namespace portolan::port {

ReplyStatus PendingReply::status() const noexcept {
  // [Q11] acquire; pairs with [Q12]: the reply is there for whoever sees that it has come.
  return status_.load(std::memory_order_acquire);
}

bool PendingReply::given_up() const noexcept {
  if (status() != ReplyStatus::pending) return false;
  const std::lock_guard lock(mutex_);
  return !settled_;
}

void PendingReply::settle(ReplyStatus status, MessageEvent* event, Call call) noexcept {
  std::unique_lock lock(mutex_);
  if (this->status() != ReplyStatus::pending) return;
  if (event != nullptr) event_.emplace(std::move(*event));
  // [Q12] release; pairs with [Q11]: last, and under the lock, which orders those who settle it.
  status_.store(status, std::memory_order_release);
  if (!settled_) return;
  const std::shared_ptr<LoopCore> loop = loop_;
  lock.unlock();
  try {
    if (call == Call::later)
      loop->post([self = shared_from_this()] { self->call_settled(); });
    else
      call_settled();
  } catch (...) {
    static_cast<void>(report(std::current_exception()));
  }
}

void PendingReply::call_settled() {
  Callback<void()> settled = drop_wait();
  if (settled) settled();
}

// On the loop's thread.
Callback<void()> PendingReply::drop_wait() noexcept {
  const std::lock_guard lock(mutex_);
  if (const std::shared_ptr<LoopCore> loop = std::move(loop_)) loop->clear(timer_);
  return std::move(settled_);
}

void PendingReply::when_settled(Callback<void()> settled) {
  const std::shared_ptr<PortState> port = port_.lock();
  if (port) port->check_loop_thread("Reply::on_reply");
  const bool bound = port && status() == ReplyStatus::pending;
  // May settle it, where it cannot be bound any more.
  std::shared_ptr<LoopCore> loop = bound ? port->bind_for_replies(listeners_) : nullptr;
  if (!loop) loop = EventLoopAccess::core(EventLoop::current());
  std::unique_lock lock(mutex_);
  if (taken_ || settled_)
    throw InvalidStateError("on_reply(" + name() + "): this reply was taken before; take each one once");
  if (status() != ReplyStatus::pending) {
    lock.unlock();
    return loop->post(std::move(settled));
  }
  loop_ = std::move(loop);
  settled_ = std::move(settled);
  if (deadline_ns_ == kForever) return;
  timer_ = loop_->set_timer(std::max<std::int64_t>(0, deadline_ns_ - os::monotonic_ns()), 0,
                            [weak = weak_from_this()] {
                              const std::shared_ptr<PendingReply> self = weak.lock();
                              if (!self) return;
                              if (const auto of = self->port()) of->forget_request(*self);
                              self->settle(ReplyStatus::timed_out, nullptr, Call::now);
                            });
}

// A peer wrote it, and it goes into a text for people.
std::string PendingReply::refusal() const {
  constexpr std::size_t kMostLetters = 1000;
  std::string words(event_->text().substr(0, kMostLetters));
  for (char& letter : words)
    if (static_cast<unsigned char>(letter) < ' ' || letter == 0x7f) letter = '?';
  return words.empty() ? "it does not say why" : words;
}

// For what is thrown.
std::string PendingReply::name() const {
  const std::shared_ptr<PortState> port = port_.lock();
  return port ? port->name() : "a port that is gone";
}

MessageEvent PendingReply::take() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(taken_, true))
    throw InvalidStateError("Reply::get(" + name() + "): this reply was taken before; take each one once");
  switch (const ReplyStatus how = status()) {
    case ReplyStatus::answered:
      return std::move(*event_);
    case ReplyStatus::timed_out:
      throw RequestError(how, "request(" + name() +
                                  "): no reply came in time; give it a longer RequestOptions::timeout, or "
                                  "look at what the other side is doing");
    case ReplyStatus::refused:
      throw RequestError(how, "request(" + name() + "): the other side does not answer it: " + refusal());
    case ReplyStatus::closed:
      throw RequestError(how, "request(" + name() +
                                  "): the channel was closed before a reply came; connect anew, and ask "
                                  "again if asking twice does no harm");
    case ReplyStatus::pending:
    case ReplyStatus::detached:
      break;
  }
  throw RequestError(
      ReplyStatus::detached,
      "request(" + name() + "): the port is detached or was moved away; ask on the port that was received");
}

bool PendingReplies::has(std::uint64_t number) const noexcept {
  const std::lock_guard lock(mutex_);
  return replies_.contains(number);
}

void PendingReplies::add(const std::shared_ptr<PendingReply>& reply) {
  const std::lock_guard lock(mutex_);
  replies_.try_emplace(reply->number(), reply);
  recount();
}

std::shared_ptr<PendingReply> PendingReplies::take(std::uint64_t number) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = replies_.find(number);
  if (found == replies_.end()) return nullptr;
  std::shared_ptr<PendingReply> reply = std::move(found->second);
  replies_.erase(found);
  recount();
  return reply;
}

void PendingReplies::forget(const PendingReply& reply) noexcept {
  const std::lock_guard lock(mutex_);
  for (Numbered* const numbered : {&replies_, &passed_on_}) {
    const auto found = numbered->find(reply.number());
    if (found != numbered->end() && found->second.get() == &reply) numbered->erase(found);
  }
  recount();
}

void PendingReplies::settle(Numbered& replies, ReplyStatus status) noexcept {
  for (const auto& [number, reply] : replies) reply->settle(status, nullptr, PendingReply::Call::later);
}

void PendingReplies::recount() noexcept {
  count_.store(replies_.size() + passed_on_.size(), std::memory_order_relaxed);  // [Q10]
}

void PendingReplies::settle_all(ReplyStatus status) noexcept {
  if (empty()) return;
  Numbered replies, passed_on;
  {
    const std::lock_guard lock(mutex_);
    replies.swap(replies_);
    passed_on.swap(passed_on_);
    recount();
  }
  settle(replies, status);
  settle(passed_on, status);
}

void PendingReplies::pass_on(std::uint64_t number, std::uint64_t now) noexcept {
  const std::lock_guard lock(mutex_);
  auto found = replies_.extract(number);
  if (found.empty()) return;  // given up
  found.key() = now;
  found.mapped()->set_number(now);
  passed_on_.insert(std::move(found));
}

void PendingReplies::change_channel() noexcept {
  Numbered left_behind;
  {
    const std::lock_guard lock(mutex_);
    left_behind.swap(replies_);
    replies_.swap(passed_on_);
    recount();
  }
  settle(left_behind, ReplyStatus::closed);
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

namespace {

std::error_code code_of(ReplyStatus status) noexcept {
  return std::make_error_code(status == ReplyStatus::timed_out ? std::errc::timed_out
                              : status == ReplyStatus::refused ? std::errc::bad_message
                              : status == ReplyStatus::closed  ? std::errc::connection_reset
                                                               : std::errc::not_connected);
}

}  // namespace

RequestError::RequestError(ReplyStatus status, const std::string& message)
    : PortError(code_of(status), message), status_(status) {}
RequestError::~RequestError() = default;

Reply::Reply() noexcept = default;
Reply::Reply(State state) noexcept : state_(std::move(state)) {}
Reply::Reply(Reply&& other) noexcept = default;

Reply& Reply::operator=(Reply&& other) noexcept {
  const Reply former(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

Reply::~Reply() {
  if (state_ && state_->given_up()) cancel();
}

ReplyStatus Reply::status() const noexcept {
  return state_ ? state_->status() : ReplyStatus::detached;
}

void Reply::cancel() noexcept {
  if (!state_) return;
  if (const auto port = state_->port()) port->forget_request(*state_);
  state_->settle(ReplyStatus::timed_out, nullptr, port::PendingReply::Call::later);
}

void Reply::stop_waiting() noexcept {
  if (state_) state_->drop_wait();
}

MessageEvent Reply::get() {
  if (state_ && state_->status() == ReplyStatus::pending) {
    const auto port = state_->port();
    if (port)
      port->wait_for_reply(*state_);
    else
      state_->settle(ReplyStatus::closed, nullptr, port::PendingReply::Call::later);
  }
  return take(state_);
}

void Reply::when_settled(Callback<void()> settled) {
  if (!state_) return EventLoop::current().post(std::move(settled));
  state_->when_settled(std::move(settled));
}

MessageEvent Reply::take(const State& state) {
  return state ? state->take() : port::PendingReply().take();
}

}  // namespace v1
}  // namespace portolan
