// SPDX-License-Identifier: Apache-2.0

#include "os/random.hpp"

#include <cerrno>
#include <sys/random.h>

#include "os/refusal.hpp"

namespace portolan::os {

std::uint64_t random_word() {
  std::uint64_t word = 0;
  // So few bytes come whole, and are interrupted only before the kernel has any to give.
  while (::getrandom(&word, sizeof word, 0) != static_cast<ssize_t>(sizeof word)) {
    if (errno != EINTR) throw_refusal(last_error(), "getrandom", "", "allow it in the seccomp filter");
  }
  return word;
}

}  // namespace portolan::os
