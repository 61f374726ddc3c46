// SPDX-License-Identifier: Apache-2.0

#include "os/random.hpp"

#include <cerrno>
#include <cstddef>
#include <sys/random.h>

#include "os/fork_watch.hpp"
#include "os/refusal.hpp"

namespace portolan::os {

namespace {

// What is asked for at once, of which each is given out once: a channel would pay a call for its own. So few
// bytes come whole, and are interrupted only before the kernel has any to give.
struct Pool {
  std::array<std::uint64_t, 32> words;
  std::size_t left;
  std::uint32_t fork_generation;  // a child must not give out what its parent does
};
constinit thread_local Pool pool{};

void fill(Pool& empty) {
  while (::getrandom(empty.words.data(), sizeof empty.words, 0) != static_cast<ssize_t>(sizeof empty.words)) {
    if (errno != EINTR) throw_refusal(last_error(), "getrandom", "", "allow it in the seccomp filter");
  }
  empty.left = empty.words.size();
  empty.fork_generation = fork_generation();
}

}  // namespace

std::array<std::uint64_t, 2> random_words() {
  Pool& mine = pool;
  if (mine.left == 0 || forked_since(mine.fork_generation)) fill(mine);
  mine.left -= 2;
  return {mine.words[mine.left], mine.words[mine.left + 1]};
}

}  // namespace portolan::os
