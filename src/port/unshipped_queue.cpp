// SPDX-License-Identifier: Apache-2.0

#include "port/unshipped_queue.hpp"

#include <utility>

#include "port/port_state.hpp"

namespace portolan::port {

namespace {

constinit thread_local UnshippedQueue* this_threads_queue = nullptr;
constinit thread_local bool thread_is_ending = false;

// Ports may outlive their thread, and what they share with it.
struct ThreadQueue {
  std::shared_ptr<UnshippedQueue> queue = std::make_shared<UnshippedQueue>();
  ThreadQueue() { this_threads_queue = queue.get(); }
  ThreadQueue(const ThreadQueue&) = delete;
  ThreadQueue& operator=(const ThreadQueue&) = delete;
  ~ThreadQueue() {
    this_threads_queue = nullptr;
    thread_is_ending = true;
    queue->forget();
  }
};

void find_end_of_first_turn(UnshippedDirection& direction) noexcept {
  const std::size_t next = direction.first_earlier + 1;
  direction.first_turn_ends = direction.earlier.empty()         ? ~std::uint64_t{0}
                              : next < direction.earlier.size() ? direction.earlier[next].first_message
                                                                : direction.last.first_message;
}

// Forgets the turns whose messages are all read; the last one stays: more may be posted in it.
void drop_read_turns(UnshippedDirection& direction, std::uint64_t taken_count) noexcept {
  while (direction.first_turn_ends <= taken_count) {
    if (++direction.first_earlier == direction.earlier.size()) {
      direction.earlier.clear();
      direction.first_earlier = 0;
    }
    find_end_of_first_turn(direction);
  }
}

const UnshippedDirection::Turn& first_turn(const UnshippedDirection& direction) noexcept {
  return direction.first_earlier < direction.earlier.size() ? direction.earlier[direction.first_earlier]
                                                            : direction.last;
}

}  // namespace

std::shared_ptr<UnshippedChannel> UnshippedChannel::make() {
  if (thread_is_ending) return nullptr;
  static thread_local const ThreadQueue queue;
  return std::make_shared<UnshippedChannel>(queue.queue);
}

void UnshippedChannel::leave() noexcept {
  // [U1] relaxed: who learns of it late puts messages in order of which no order is promised any more.
  left_.store(true, std::memory_order_relaxed);
}

bool UnshippedChannel::stays_here() noexcept {
  // [U1] relaxed: as in leave.
  if (left_.load(std::memory_order_relaxed)) return false;
  if (queue_.get() == this_threads_queue) return true;
  leave();
  return false;
}

void UnshippedQueue::take_turn(const Direction& direction, std::uint64_t posted_count,
                               std::uint64_t unread_count) {
  if (latest_ == direction) return;
  UnshippedDirection& mine = *direction;
  drop_read_turns(mine, posted_count - unread_count);
  if (mine.earlier.size() == mine.earlier.capacity() && unread_count != 0) {
    // Those that are read make room first.
    mine.earlier.erase(mine.earlier.begin(), mine.earlier.begin() + static_cast<std::ptrdiff_t>(std::exchange(
                                                                        mine.first_earlier, 0)));
    mine.earlier.reserve(2 * mine.earlier.size() + 2);
  }
  // The last turn of whoever posted before is over, and may have messages that came after its loop had
  // looked.
  if (latest_) add_waiting(latest_);
  const UnshippedDirection::Turn former = std::exchange(mine.last, {last_turn_ + 1, posted_count});
  if (former.number != 0 && unread_count != 0) mine.earlier.push_back(former);
  find_end_of_first_turn(mine);
  ++last_turn_;
  if (latest_)
    if (const auto poster = latest_->poster.lock()) poster->end_turn();
  latest_ = direction;
}

void UnshippedQueue::forget() noexcept {
  // Channels that live on hold this queue: it must not hold them.
  first_ = nullptr;
  const auto waiting = std::exchange(waiting_, {});
  const Direction latest = std::exchange(latest_, nullptr);
}

void UnshippedQueue::add_waiting(const Direction& direction) {
  if (direction->waits_at != 0 || direction->last.number == 0) return;
  // [U2] relaxed: as in first_before.
  if (!direction->served.load(std::memory_order_relaxed)) return;
  const std::uint64_t number = first_turn(*direction).number;
  waiting_.emplace(number, direction);
  direction->waits_at = number;
  find_first();
}

void UnshippedQueue::remove_waiting(UnshippedDirection& direction) noexcept {
  // Perhaps the last that holds it.
  const auto node = waiting_.extract(std::exchange(direction.waits_at, 0));
  find_first();
}

void UnshippedQueue::find_first() noexcept {
  first_ = waiting_.empty() ? nullptr : waiting_.begin()->second.get();
}

std::shared_ptr<PortState> UnshippedQueue::first_before(UnshippedDirection& direction,
                                                        std::uint64_t taken_count) noexcept {
  drop_read_turns(direction, taken_count);
  const std::uint64_t own = first_turn(direction).number;
  while (!waiting_.empty() && waiting_.begin()->first < own) {
    UnshippedDirection& first = *waiting_.begin()->second;
    // [U2] relaxed: this thread's loop alone begins to serve it.
    std::shared_ptr<PortState> receiver =
        first.served.load(std::memory_order_relaxed) ? first.receiver.lock() : nullptr;
    if (!receiver || !receiver->has_message_to_serve()) {
      pass_over_first();
      continue;
    }
    drop_read_turns(first, receiver->used()->reader().taken_count());
    const std::uint64_t number = first_turn(first).number;
    if (number == waiting_.begin()->first) return receiver;
    // It has come further: to its place among the others, in the same memory.
    auto node = waiting_.extract(waiting_.begin());
    node.key() = first.waits_at = number;
    waiting_.insert(std::move(node));
    find_first();
  }
  return nullptr;
}

}  // namespace portolan::port
