// SPDX-License-Identifier: Apache-2.0

// Who is inside an endpoint's slow paths: asleep, or using a descriptor. Closing and moving shut the gate,
// nudge the sleepers, and wait until everybody has left; the fast paths touch memory only and need no gate.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

namespace portolan::port {

class ThreadSleeper;

class Gate {
 public:
  // A stay inside, or none if the gate was shut.
  class Stay {
   public:
    Stay() noexcept = default;
    Stay(Gate& gate, ThreadSleeper* sleeper)
        : gate_(gate.enter(sleeper) ? &gate : nullptr), sleeper_(sleeper) {}
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() {
      if (gate_ != nullptr) gate_->leave(sleeper_);
    }
    explicit operator bool() const noexcept { return gate_ != nullptr; }

   private:
    Gate* gate_ = nullptr;
    ThreadSleeper* sleeper_ = nullptr;
  };

  // Shuts, nudges, and returns when nobody is inside. The caller must not be.
  void shut();
  void reopen();
  // Sleepers look again at what they wait for.
  void nudge_all();

 private:
  bool enter(ThreadSleeper* sleeper);
  void leave(ThreadSleeper* sleeper) noexcept;

  std::mutex mutex_;
  std::condition_variable left_;
  std::vector<ThreadSleeper*> sleepers_;
  unsigned inside_ = 0;
  bool shut_ = false;
};

}  // namespace portolan::port
