// SPDX-License-Identifier: Apache-2.0

// The closer thread and its list.
#include "os/descriptor_closer.hpp"

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "os/fork_watch.hpp"

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

class Closer {
 public:
  bool add(int descriptor) {
    const std::lock_guard lock(mutex_);
    // After a raw clone() there is neither the thread nor anybody who said so.
    if (forked_since(fork_generation_)) return false;
    if (ended_) return true;
    waiting_.push_back(descriptor);
    try {
      if (!thread_.joinable()) start();
    } catch (...) {
      waiting_.pop_back();
      throw;
    }
    wake_.notify_one();
    return true;
  }

  // At the program's end. A close that does not end must not keep the program from it.
  void end() noexcept {
    std::unique_lock lock(mutex_);
    if (std::exchange(ended_, true) || !thread_.joinable() || forked_since(fork_generation_)) return;
    if (closing_) return thread_.detach();
    wake_.notify_one();
    lock.unlock();
    thread_.join();
  }

 private:
  void start();

  void run() noexcept {
    ::pthread_setname_np(::pthread_self(), "portolan-closer");
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      if (ended_) return;
      const int descriptor = waiting_.back();
      waiting_.pop_back();
      closing_ = true;
      lock.unlock();
      ::close(descriptor);
      lock.lock();
      closing_ = false;
    }
  }

  std::uint32_t fork_generation_ = fork_generation();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<int> waiting_;
  std::thread thread_;
  bool closing_ = false;
  bool ended_ = false;
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

void Closer::start() {
  const NoSignals no_signals;
  thread_ = std::thread(&Closer::run, this);
  static_cast<void>(std::atexit([] { closer().end(); }));
}

}  // namespace

bool close_elsewhere(int descriptor) noexcept {
  try {
    return closer().add(descriptor);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace portolan::os
