// SPDX-License-Identifier: Apache-2.0

// The Web's unshipped port message queue: the ports of one thread's loop that have never left that thread
// share one task source, so their messages are dispatched in the order in which they were posted, across
// ports. A message does not carry its place: a port takes a turn when it posts after another one did, and all
// that it posts in this turn lies together. So the price is paid where two ports post alternately, and a port
// that posts on, or has left, pays nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace portolan::port {

class PortState;
class UnshippedQueue;

// One direction of a channel whose ends have not left the thread that made it.
struct UnshippedDirection {
  struct Turn {
    std::uint64_t number;
    std::uint64_t first_message;  // of the direction's count
  };

  std::weak_ptr<PortState> poster, receiver;
  // The receiver is served by the thread's own loop. Any thread may say that it is not any more.
  std::atomic<bool> served{false};
  // The thread's own: the latest turn, in which more may be posted, and those before it that have unread
  // messages, from `first_earlier` on.
  Turn last{0, 0};
  std::vector<Turn> earlier;
  std::size_t first_earlier = 0;
  std::uint64_t first_turn_ends = ~std::uint64_t{0};  // before this message; the last turn has no end yet
  std::uint64_t waits_at = 0;                         // its place in the queue's list; 0: not there
};

// Both directions. Ends for good as soon as one end moves away or is used by another thread.
class UnshippedChannel {
 public:
  // Null where a thread is ending.
  static std::shared_ptr<UnshippedChannel> make();
  explicit UnshippedChannel(std::shared_ptr<UnshippedQueue> queue) noexcept : queue_(std::move(queue)) {}

  [[nodiscard]] UnshippedDirection& direction(std::size_t number) noexcept { return directions_[number]; }
  [[nodiscard]] UnshippedQueue& queue() noexcept { return *queue_; }

  // For good; from any thread.
  void leave() noexcept;
  // Whether it still is this thread's; if it is used by another one it has left.
  [[nodiscard]] bool stays_here() noexcept;

 private:
  std::shared_ptr<UnshippedQueue> queue_;
  std::array<UnshippedDirection, 2> directions_;
  std::atomic<bool> left_{false};
};

// Of one thread, which alone calls this.
class UnshippedQueue {
 public:
  using Direction = std::shared_ptr<UnshippedDirection>;  // shares its channel

  // What is posted on `direction` from now on comes after everything that was posted before. `posted_count`
  // and `unread_count` are the direction's. Throws std::bad_alloc, with nothing changed.
  void take_turn(const Direction& direction, std::uint64_t posted_count, std::uint64_t unread_count);
  // Its queue was enabled; if no loop serves it nobody waits for it. Later posts find that out by themselves.
  void add_waiting(const Direction& direction);
  void remove_waiting(UnshippedDirection& direction) noexcept;

  // Nobody's does; a quick look.
  [[nodiscard]] bool is_first(const UnshippedDirection& direction, std::uint64_t taken_count) const noexcept {
    return first_ == nullptr || (first_ == &direction && taken_count < direction.first_turn_ends);
  }
  // Whose message comes before the next one of `direction`, of which `taken_count` are read: a port that this
  // thread's loop serves and that has messages. Null if nobody's.
  [[nodiscard]] std::shared_ptr<PortState> first_before(UnshippedDirection& direction,
                                                        std::uint64_t taken_count) noexcept;
  // What it named had nothing to serve.
  void pass_over_first() noexcept {
    if (!waiting_.empty()) remove_waiting(*waiting_.begin()->second);
  }
  // The thread ends, and with it every order among its ports.
  void forget() noexcept;

 private:
  void find_first() noexcept;

  // Those that may have a message that others must come after, by their first turn.
  std::map<std::uint64_t, Direction> waiting_;
  const UnshippedDirection* first_ = nullptr;  // of these
  Direction latest_;                           // whose turn it is
  std::uint64_t last_turn_ = 0;
};

}  // namespace portolan::port
