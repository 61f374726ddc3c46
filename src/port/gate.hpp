// SPDX-License-Identifier: Apache-2.0

// Who is inside an endpoint's slow paths: asleep, or using a descriptor. Closing and moving shut the gate,
// nudge the sleepers, and wait until everybody has left; the fast paths touch memory only and need no gate.
#pragma once

#include <condition_variable>
#include <mutex>

namespace portolan::port {

class ThreadSleeper;

class Gate {
 public:
  // A stay inside, or none if the gate was shut.
  class Stay {
   public:
    Stay(Gate& gate, ThreadSleeper* sleeper) noexcept : gate_(gate), sleeper_(sleeper) {
      inside_ = gate.enter(*this);
    }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() {
      if (inside_) gate_.leave(*this);
    }
    explicit operator bool() const noexcept { return inside_; }

   private:
    friend class Gate;
    Gate& gate_;
    ThreadSleeper* sleeper_;
    bool inside_ = false;
    // Of those inside, linked through themselves: entering takes no memory.
    Stay* previous_ = nullptr;
    Stay* next_ = nullptr;
  };

  // Shuts, nudges, and returns when nobody is inside. The caller must not be.
  void shut();
  void reopen();
  // Sleepers look again at what they wait for.
  void nudge_all();

 private:
  bool enter(Stay& stay) noexcept;
  void leave(Stay& stay) noexcept;
  void nudge_sleepers() noexcept;

  std::mutex mutex_;
  std::condition_variable left_;
  Stay* first_ = nullptr;
  bool shut_ = false;
};

}  // namespace portolan::port
