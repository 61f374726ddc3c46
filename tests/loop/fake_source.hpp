// SPDX-License-Identifier: Apache-2.0

// A source with nothing behind it but a counter: publish() from any thread, wakes included, as a peer would
// do it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include <portolan/event_loop.hpp>

#include "os/event_counter.hpp"
#include "port/loop_access.hpp"

namespace portolan::testing {

class FakeSource : public port::LoopSource {
 public:
  virtual ~FakeSource() = default;

  std::function<void(std::size_t)> on_message;  // called with the message's number, from 0
  bool alive = true;
  bool lose_wakes = false;

  // What the loop did.
  std::vector<std::size_t> served;  // how many messages each call that served any took
  std::size_t served_count = 0;
  std::atomic<int> sleeps = 0;
  std::atomic<int> looks = 0;
  int awakenings = 0;

  void publish(std::size_t count = 1) {
    published_.fetch_add(count, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst) && !lose_wakes) bell_.signal();
  }
  [[nodiscard]] std::size_t taken() const { return taken_; }

  void attach(EventLoop& loop = EventLoop::current()) { attachment_ = port::LoopAttachment(loop, *this); }
  void detach() { attachment_.detach(); }

  std::size_t serve(std::size_t most) override {
    const std::size_t count = std::min(most, published_.load(std::memory_order_seq_cst) - taken_);
    if (count != 0) served.push_back(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t number = taken_++;
      if (const auto call = on_message) call(number);  // a copy: it may destroy this source
    }
    return count;
  }
  bool ready() noexcept override {
    ++looks;
    return published_.load(std::memory_order_seq_cst) != taken_;
  }
  [[nodiscard]] int descriptor() const noexcept override { return bell_.descriptor(); }
  bool announce_sleep(bool deep) noexcept override {
    if (!deep || ready()) return false;
    bell_.drain();
    asleep_.store(true, std::memory_order_seq_cst);
    sleeps.fetch_add(1, std::memory_order_seq_cst);
    return true;
  }
  void announce_awake() noexcept override {
    asleep_.store(false, std::memory_order_seq_cst);
    ++awakenings;
  }
  [[nodiscard]] bool keeps_loop_alive() const noexcept override { return alive; }

 private:
  std::atomic<std::size_t> published_ = 0;
  std::size_t taken_ = 0;
  std::atomic<bool> asleep_ = false;
  os::EventCounter bell_;
  port::LoopAttachment attachment_;
};

}  // namespace portolan::testing
