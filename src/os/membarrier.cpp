// SPDX-License-Identifier: Apache-2.0

// Registration for membarrier, at load time.
#include "os/membarrier.hpp"

#include <cerrno>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portolan::os {
namespace {

constinit bool registered = false;

bool command(int number) noexcept {
  const int saved = errno;
  const bool done = ::syscall(SYS_membarrier, number, 0, 0) == 0;
  errno = saved;
  return done;
}

[[gnu::constructor]] void register_when_loaded() noexcept {
  registered = command(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

}  // namespace

bool membarrier_registered() noexcept {
  return registered;
}

bool membarrier() noexcept {
  return command(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

}  // namespace portolan::os
