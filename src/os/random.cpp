// SPDX-License-Identifier: Apache-2.0

#include "os/random.hpp"

#include <cerrno>
#include <sys/random.h>

#include "os/refusal.hpp"

namespace portolan::os {

std::array<std::uint64_t, 2> random_words() {
  std::array<std::uint64_t, 2> words{};
  // So few bytes come whole, and are interrupted only before the kernel has any to give.
  while (::getrandom(words.data(), sizeof words, 0) != static_cast<ssize_t>(sizeof words)) {
    if (errno != EINTR) throw_refusal(last_error(), "getrandom", "", "allow it in the seccomp filter");
  }
  return words;
}

}  // namespace portolan::os
