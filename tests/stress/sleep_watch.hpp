// SPDX-License-Identifier: Apache-2.0

// Sees that a thread sleeps on although what it waits for is there. It concludes nothing from how long that
// takes: the thread has been woken before the other side says that it is done, so a thread that is still
// asleep, in the same sleep, was forgotten.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <sys/syscall.h>
#include <sys/types.h>

#include "process/asleep.hpp"

namespace portolan::testing {

class SleepWatch {
 public:
  // A look at the thread, which has something to do or not. True: it was forgotten.
  bool look(pid_t thread, bool has_something_to_do) {
    constexpr int kLooks = 5;  // the first may find it woken, and not running yet
    const std::uint64_t sleeps = sleeps_so_far(thread);
    const bool same_sleep = has_something_to_do && sleeps == sleeps_ && waits_for_others(thread);
    sleeps_ = sleeps;
    looks_ = same_sleep ? looks_ + 1 : 0;
    return looks_ >= kLooks;
  }

 private:
  // Not on a lock: those are futex calls of another number.
  static bool waits_for_others(pid_t thread) {
    const long call = sleeping_call(thread);
    return call == SYS_futex_waitv || sleeps_deeply(thread);
  }
  static std::uint64_t sleeps_so_far(pid_t thread) {
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    for (std::string word; status >> word;)
      if (std::uint64_t count = 0; word == "voluntary_ctxt_switches:" && status >> count) return count;
    return 0;
  }

  std::uint64_t sleeps_ = 0;
  int looks_ = 0;
};

}  // namespace portolan::testing
