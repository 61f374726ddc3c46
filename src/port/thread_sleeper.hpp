// SPDX-License-Identifier: Apache-2.0

// What one thread sleeps on, beside what it sleeps for: a word and an eventfd by which other threads of this
// process nudge it (a close, a move, a stop request). One for each thread, made at its first sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

#include "os/epoll.hpp"
#include "os/event_counter.hpp"

namespace portolan::port {

// A light sleep, which nobody has to end, looks again this often.
inline constexpr std::int64_t kLightSleepNs = 10'000'000;
// Every unbounded sleep looks again this often.
inline constexpr std::int64_t kRearmNs = 1'000'000'000;

class ThreadSleeper {
 public:
  // This thread's. A forked child gets a fresh one.
  static ThreadSleeper& current();

  // Any thread. Every sleep in progress ends, and so does the next one that was prepared before.
  void nudge() noexcept;
  std::uint32_t nudges() const noexcept;
  const void* nudge_word() const noexcept { return &nudges_; }

  // The sockets that one wait of this thread sleeps on: registered at its first sleep, and only once, since
  // what is queued already is reported anew by every registration. Packets whose frames are not published yet
  // stay queued.
  class Watch {
   public:
    explicit Watch(ThreadSleeper& sleeper) noexcept : sleeper_(sleeper) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    // Sleeps until `socket` has an edge (hang-up included), a nudge later than `seen_nudges` comes, or the
    // time is up. The error is that of a kernel without descriptors to sleep on.
    std::error_code sleep(int socket, std::uint32_t seen_nudges, std::int64_t timeout_ns) noexcept {
      socket_ = socket;
      return sleep(std::span(&socket_, 1), seen_nudges, timeout_ns);
    }
    // The same with several, always the same, which the caller keeps as long as this watch.
    std::error_code sleep(std::span<const int> sockets, std::uint32_t seen_nudges,
                          std::int64_t timeout_ns) noexcept;

   private:
    std::error_code watch(std::span<const int> sockets) noexcept;

    ThreadSleeper& sleeper_;
    int socket_ = -1;
    std::span<const int> watched_;
  };

 private:
  std::error_code make_deep() noexcept;

  struct Deep {
    os::Epoll epoll;
    os::EventCounter bell;
  };

  std::atomic<std::uint32_t> nudges_{0};
  std::atomic<Deep*> listening_{nullptr};
  std::optional<Deep> deep_;
  std::uint32_t fork_generation_ = 0;
};

}  // namespace portolan::port
