// SPDX-License-Identifier: Apache-2.0

// Futexes across mappings and threads, with and without futex_waitv.
#include "os/futex.hpp"

#include <atomic>
#include <cerrno>
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <thread>

#include "os/mapping.hpp"
#include "os/memory_file.hpp"
#include "refused_call.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"

using namespace portolan::os;
using portolan::FileDescriptor;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;

namespace {

constexpr std::int64_t kLongNs = 60'000'000'000;

using Word = std::atomic<std::uint32_t>;

// The same word at two addresses.
struct TwoViews {
  FileDescriptor file = create_segment_file(page_bytes());
  Mapping first_mapping{file.get(), Mapping::Access::read_write, 0, page_bytes()};
  Mapping second_mapping{file.get(), Mapping::Access::read_write, 0, page_bytes()};
  Word& first = *reinterpret_cast<Word*>(first_mapping.bytes().data());
  Word& second = *reinterpret_cast<Word*>(second_mapping.bytes().data());
};

// Sleeps until the word changes; the waker repeats, since its first wake may come before the sleep.
template <class Wait, class Wake>
void check_woken(Wait wait, Wake wake) {
  std::atomic<bool> done{false};
  std::thread sleeper([&] {
    wait();
    done = true;
  });
  CHECK(portolan::testing::wait_until([&] {
    wake();
    return done.load();
  }));
  sleeper.join();
}

}  // namespace

TEST_CASE("a wait looks before it sleeps and ends at its timeout") {
  Word word{5};
  CHECK(futex_wait(&word, 4, kLongNs) == Woken::changed);
  CHECK(futex_wait(&word, 5, 1'000'000) == Woken::timed_out);
  CHECK(futex_wait(&word, 5, 0) == Woken::timed_out);
  CHECK(futex_wait(&word, 5, -1) == Woken::timed_out);
  CHECK(futex_wait_private(&word, 5, 1'000'000) == Woken::timed_out);
}

TEST_CASE("a wake through one mapping reaches a sleeper in another") {
  TwoViews views;
  check_woken([&] { CHECK(futex_wait(&views.first, 0, kLongNs) == Woken::woken); },
              [&] { futex_wake(&views.second, 1); });
}

TEST_CASE("a private wake reaches a private sleeper") {
  Word word{0};
  check_woken([&] { CHECK(futex_wait_private(&word, 0, kLongNs) == Woken::woken); },
              [&] { futex_wake_private(&word, 1); });
}

TEST_CASE("waiting for either word is ended by each") {
  TwoViews views;
  Word nudge{0};
  check_woken([&] { CHECK(futex_wait_either(&views.first, 0, &nudge, 0, kLongNs) == Woken::woken); },
              [&] { futex_wake(&views.second, 1); });
  check_woken([&] { CHECK(futex_wait_either(&views.first, 0, &nudge, 0, kLongNs) == Woken::woken); },
              [&] { futex_wake_private(&nudge, 1); });
  CHECK(futex_wait_either(&views.first, 1, &nudge, 0, kLongNs) == Woken::changed);
  CHECK(futex_wait_either(&views.first, 0, &nudge, 1, kLongNs) == Woken::changed);
  CHECK(futex_wait_either(&views.first, 0, &nudge, 0, 1'000'000) == Woken::timed_out);
}

TEST_CASE("without futex_waitv the wait goes in rounds that look at the private word, to its whole end") {
  for (const int error : {ENOSYS, EPERM}) {
    ChildProcess child = ChildProcess::fork([error] {
      TwoViews views;
      Word nudge{0};
      PORTOLAN_CHILD_REQUIRE(portolan::testing::refuse_call(SYS_futex_waitv, error));
      PORTOLAN_CHILD_REQUIRE(futex_wait_either(&views.first, 0, &nudge, 0, 1000) == Woken::timed_out);
      PORTOLAN_CHILD_REQUIRE(futex_wait_either_is_blind());
      PORTOLAN_CHILD_REQUIRE(futex_wait_either(&views.first, 0, &nudge, 0, 3 * kBlindNanoseconds) ==
                             Woken::timed_out);
      // Nobody wakes it: a round ends by itself, long before the timeout.
      std::thread changing([&] { nudge.store(1); });
      PORTOLAN_CHILD_REQUIRE(futex_wait_either(&views.first, 0, &nudge, 0, kLongNs) == Woken::changed);
      changing.join();
      nudge.store(0);
      PORTOLAN_CHILD_REQUIRE(futex_wait_either(&views.first, 1, &nudge, 0, kLongNs) == Woken::changed);
      PORTOLAN_CHILD_REQUIRE(futex_wait_either(&views.first, 0, &nudge, 1, kLongNs) == Woken::changed);
      return 0;
    });
    CHECK(child.wait() == ChildExit::exited(0));
  }
}
