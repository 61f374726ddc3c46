// SPDX-License-Identifier: Apache-2.0

// A request that waits for its reply, and the table of those of one port. Requests begin on the posting
// thread, replies come on the receiving one, and close() on any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <portolan/callback.hpp>
#include <portolan/close_event.hpp>
#include <portolan/message_event.hpp>
#include <portolan/reply.hpp>

#include "port/listeners.hpp"
#include "port/loop_core.hpp"

namespace portolan::port {

class PortState;

class PendingReply : public std::enable_shared_from_this<PendingReply> {
 public:
  // Of a detached port.
  PendingReply() noexcept : status_(ReplyStatus::detached) {}
  PendingReply(std::weak_ptr<PortState> port, std::shared_ptr<Listeners> listeners, std::int64_t deadline_ns)
      : port_(std::move(port)), listeners_(std::move(listeners)), deadline_ns_(deadline_ns) {}

  std::uint64_t number() const noexcept { return number_; }
  void set_number(std::uint64_t number) noexcept { number_ = number; }
  // kForever: none.
  std::int64_t deadline_ns() const noexcept { return deadline_ns_; }
  const std::shared_ptr<Listeners>& listeners() const noexcept { return listeners_; }
  std::shared_ptr<PortState> port() const noexcept { return port_.lock(); }
  ReplyStatus status() const noexcept;

  // Once, the first time: where somebody waits in a loop, that calls him in its next turn, or this call does.
  enum class Call : bool { later, now };
  void settle(ReplyStatus status, MessageEvent* event, Call call) noexcept;
  void when_settled(Callback<void()> settled);
  // Whether nobody will hear of it once nobody has the Reply any more: who waits in a loop is told all the
  // same.
  bool given_up() const noexcept;
  // He does not wait any more; what he would have been called with.
  Callback<void()> drop_wait() noexcept;
  MessageEvent take();

 private:
  void call_settled();
  std::string name() const;
  std::string refusal() const;

  std::weak_ptr<PortState> port_;
  std::shared_ptr<Listeners> listeners_;  // with which the port is bound, if it is not
  std::uint64_t number_ = 0;
  std::int64_t deadline_ns_ = -1;
  mutable std::mutex mutex_;                               // guards what follows
  std::atomic<ReplyStatus> status_{ReplyStatus::pending};  // written under the lock
  bool taken_ = false;
  std::optional<MessageEvent> event_;
  Callback<void()> settled_;
  std::shared_ptr<LoopCore> loop_;
  TimerId timer_ = TimerId::none;
};

class PendingReplies {
 public:
  // [Q10] relaxed; the posting thread's request, which the loop hears of when somebody waits there.
  std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }
  bool empty() const noexcept { return size() == 0; }
  bool has(std::uint64_t number) const noexcept;
  void add(const std::shared_ptr<PendingReply>& reply);
  // Null: nobody waits for it.
  std::shared_ptr<PendingReply> take(std::uint64_t number) noexcept;
  // One that was refused has the number of another, who goes on waiting.
  void forget(const PendingReply& reply) noexcept;
  void settle_all(ReplyStatus status) noexcept;
  // Its request has gone on to another channel, where it has the number `now`: it is found again once this
  // table is that channel's.
  void pass_on(std::uint64_t number, std::uint64_t now) noexcept;
  // Those that have not gone on will have no reply.
  void change_channel() noexcept;

 private:
  std::atomic<std::size_t> count_{0};
  mutable std::mutex mutex_;
  using Numbered = std::map<std::uint64_t, std::shared_ptr<PendingReply>>;

  void recount() noexcept;
  static void settle(Numbered& replies, ReplyStatus status) noexcept;

  Numbered replies_;
  Numbered passed_on_;
};

}  // namespace portolan::port
