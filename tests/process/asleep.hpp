// SPDX-License-Identifier: Apache-2.0

// Whether a thread of this process, or another process, is asleep in the kernel, and where.
#pragma once

#include <fstream>
#include <string>
#include <sys/syscall.h>
#include <sys/types.h>

namespace portolan::testing {

// The number of the system call in which it sleeps; -1 while it runs.
[[nodiscard]] inline long sleeping_call(pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(thread) + "/syscall");
  long number = -1;
  return file >> number ? number : -1;
}

// Beyond the spinning and the ten milliseconds on a futex: in an epoll set, which costs its descriptors.
[[nodiscard]] inline bool sleeps_deeply(pid_t thread) {
  const long call = sleeping_call(thread);
#ifdef SYS_epoll_wait  // newer architectures never had it
  if (call == SYS_epoll_wait) return true;
#endif
  return call == SYS_epoll_pwait || call == SYS_epoll_pwait2;
}

}  // namespace portolan::testing
