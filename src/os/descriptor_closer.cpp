// SPDX-License-Identifier: Apache-2.0

// The closer thread and its list.
#include "os/descriptor_closer.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "os/fork_watch.hpp"
#include "os/futex.hpp"

namespace portolan::os {
namespace {

// The user's signal handlers run on the user's threads.
class NoSignals {
 public:
  NoSignals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// A thread of the least priority that a program may give itself: it gets what no other one has a use for, so
// it never holds a lock that another thread takes, nor an allocator's either.
class Closer {
 public:
  bool add(int descriptor) {
    const std::lock_guard lock(adding_);
    // After a raw clone() there is neither the thread nor anybody who said so.
    if (forked_since(fork_generation_)) return false;
    // [K11] relaxed: written under this lock only.
    const std::uint64_t added = added_.load(std::memory_order_relaxed);
    if (added % kBlockSize == 0 && !block_ahead_) add_block();
    if (!running_) start();
    if (added % kBlockSize == 0) enter_block();
    newest_->descriptors[added % kBlockSize] = descriptor;
    // [K12] release; pairs with [K13]: the descriptor and its block are there before they count.
    added_.store(added + 1, std::memory_order_release);
    // [K14] seq_cst fence; pairs with [K17]: counted before the look at whether the thread rests.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // [K15] relaxed; pairs with [K18]: behind the fence. One call for all that is added until it has woken.
    if (rests_.load(std::memory_order_relaxed) != 0 && rests_.exchange(0, std::memory_order_relaxed) != 0)
      futex_wake_private(&rests_, 1);
    return true;
  }

  ToClose to_close() const noexcept {
    // [K19] acquire; pairs with [K21]: none is seen closed that is not seen given.
    const std::uint64_t closed = closed_.load(std::memory_order_acquire);
    // [K22] relaxed; pairs with [K12]: behind [K19].
    return {added_.load(std::memory_order_relaxed), closed};
  }

 private:
  static constexpr std::size_t kBlockSize = 256;
  // What comes while it rests that long needs no waking: a message's descriptors are let go of one by one.
  static constexpr std::int64_t kLingerNs = 200'000;
  static constexpr std::int64_t kNoBoundNs = std::int64_t{3'600'000'000'000};

  struct Block {
    std::unique_ptr<Block> next;
    std::array<int, kBlockSize> descriptors;
  };

  void start();

  // The next one to be written; those that the thread has left are taken up again. Throws std::bad_alloc.
  void add_block() {
    // [K20] acquire; pairs with [K21]: the thread is in a later block.
    const std::uint64_t closed = closed_.load(std::memory_order_acquire);
    for (; closed > blocks_left_ + kBlockSize; blocks_left_ += kBlockSize) {
      std::unique_ptr<Block> left = std::move(oldest_);
      oldest_ = std::move(left->next);
      if (!block_ahead_) block_ahead_ = std::move(left);
    }
    if (!block_ahead_) block_ahead_ = std::make_unique<Block>();
  }

  void enter_block() noexcept {
    std::unique_ptr<Block>& place = newest_ != nullptr ? newest_->next : oldest_;
    place = std::move(block_ahead_);
    newest_ = place.get();
  }

  void rest(std::uint64_t closed) noexcept {
    const timespec linger{0, kLingerNs};
    ::nanosleep(&linger, nullptr);
    // [K18] relaxed; pairs with [K15].
    rests_.store(1, std::memory_order_relaxed);
    // [K17] seq_cst fence; pairs with [K14]: said before the last look at what was added.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // [K16] relaxed; pairs with [K12]: behind the fence.
    if (added_.load(std::memory_order_relaxed) == closed)
      static_cast<void>(futex_wait_private(&rests_, 1, kNoBoundNs));
    rests_.store(0, std::memory_order_relaxed);  // [K18]
  }

  void run() noexcept {
    ::pthread_setname_np(::pthread_self(), "portolan-closer");
    // Refused under a filter of system calls: then it is a thread as any other.
    const sched_param none{};
    static_cast<void>(::sched_setscheduler(0, SCHED_IDLE, &none));
    Block* block = nullptr;
    for (std::uint64_t closed = 0;;) {
      // [K13] acquire; pairs with [K12].
      const std::uint64_t added = added_.load(std::memory_order_acquire);
      if (added == closed) {
        rest(closed);
        continue;
      }
      if (closed % kBlockSize == 0) block = (block != nullptr ? block->next : oldest_).get();
      ::close(block->descriptors[closed % kBlockSize]);
      // [K21] release; pairs with [K20]: the block that was left is not looked at any more.
      closed_.store(++closed, std::memory_order_release);
    }
  }

  std::uint32_t fork_generation_ = fork_generation();
  std::mutex adding_;  // the thread itself never takes it
  bool running_ = false;
  std::unique_ptr<Block> oldest_;  // the thread looks here once, for its first
  Block* newest_ = nullptr;
  std::unique_ptr<Block> block_ahead_;
  std::uint64_t blocks_left_ = 0;  // descriptors in front of the oldest block
  std::atomic<std::uint64_t> added_{0};
  std::atomic<std::uint64_t> closed_{0};
  std::atomic<std::uint32_t> rests_{0};
};

// Never destroyed: descriptors in static objects may outlive any order of destruction. Made when the library
// is loaded, since a lock around its making could be held by another thread while this one forks.
alignas(Closer) std::byte closer_place[sizeof(Closer)];

Closer& closer() noexcept {
  return *std::launder(reinterpret_cast<Closer*>(closer_place));
}

// In a forked child the old one's lock may be held for ever, and its thread is not there.
void make_closer() noexcept {
  ::new (closer_place) Closer;
}

// Before any static object of a program could close something.
[[gnu::constructor(101)]] void make_closer_when_loaded() noexcept {
  make_closer();
  ::pthread_atfork(nullptr, nullptr, make_closer);
}

// Nobody waits for its end: a close may hold it, and at the program's end there may be no processor for it.
void Closer::start() {
  const NoSignals no_signals;
  std::thread(&Closer::run, this).detach();
  running_ = true;
}

}  // namespace

bool close_elsewhere(int descriptor) noexcept {
  try {
    return closer().add(descriptor);
  } catch (const std::exception&) {
    return false;
  }
}

ToClose to_close() noexcept {
  return closer().to_close();
}

}  // namespace portolan::os
