// SPDX-License-Identifier: Apache-2.0

// Memory that is a process's own, and zero in its children.
#include "os/wiped_slot.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <memory>
#include <new>
#include <set>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "os/refused_call.hpp"
#include "support/child_process.hpp"

using portolan::os::WipedSlot;
using portolan::testing::ChildExit;
using portolan::testing::ChildProcess;
using portolan::testing::refuse_call;

namespace {

using Slots = std::vector<std::unique_ptr<WipedSlot>>;

Slots take(std::size_t count) {
  Slots slots;
  for (std::size_t i = 0; i < count; ++i) slots.push_back(std::make_unique<WipedSlot>());
  return slots;
}

void write(const WipedSlot& slot, unsigned char value) {
  std::memset(slot.memory(), value, WipedSlot::kBytes);
}

bool holds(const WipedSlot& slot, unsigned char value) {
  const auto* const bytes = static_cast<const unsigned char*>(slot.memory());
  return std::all_of(bytes, bytes + WipedSlot::kBytes, [value](unsigned char byte) { return byte == value; });
}

}  // namespace

TEST_CASE("what lies in wiped memory is zero in a forked child, and stays what it was in the parent") {
  const Slots slots = take(200);
  for (const auto& slot : slots) write(*slot, 7);
  ChildProcess child = ChildProcess::fork([&] {
    for (const auto& slot : slots) PORTOLAN_CHILD_REQUIRE(holds(*slot, 0));
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
  for (const auto& slot : slots) CHECK(holds(*slot, 7));
}

TEST_CASE("what lies in wiped memory is zero in the child of a raw clone") {
  const WipedSlot slot;
  write(slot, 7);
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) ::_exit(holds(slot, 0) ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a child never gets a slot that it has inherited, though it destroys its copies of the owners") {
  Slots slots = take(150);
  slots.resize(100);
  ChildProcess child = ChildProcess::fork([&] {
    std::set<void*> inherited;
    for (const auto& slot : slots) inherited.insert(slot->memory());
    slots.resize(50);
    const Slots own = take(300);
    std::set<void*> seen;
    for (const auto& slot : own) {
      PORTOLAN_CHILD_REQUIRE(!inherited.contains(slot->memory()));
      PORTOLAN_CHILD_REQUIRE(seen.insert(slot->memory()).second);
    }
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a slot that is given back is used again") {
  std::set<void*> seen;
  for (int i = 0; i < 100'000; ++i) {
    const Slots slots = take(3);
    for (const auto& slot : slots) seen.insert(slot->memory());
  }
  CHECK(seen.size() < 100);
}

TEST_CASE("a kernel that has nothing to wipe memory with gives no slot") {
  ChildProcess child = ChildProcess::fork([] {
    PORTOLAN_CHILD_REQUIRE(refuse_call(SYS_madvise, EAGAIN));
    Slots slots;
    try {
      // More than a page that was begun before.
      while (slots.size() < 10'000) slots.push_back(std::make_unique<WipedSlot>());
    } catch (const std::bad_alloc&) {
    }
    PORTOLAN_CHILD_REQUIRE(slots.size() < 10'000);
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a kernel that knows no wiping gives slots all the same") {
  ChildProcess child = ChildProcess::fork([] {
    PORTOLAN_CHILD_REQUIRE(refuse_call(SYS_madvise, EINVAL));
    return take(10'000).size() == 10'000 ? 0 : 1;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "of many threads that take slots and give them back no two have the same one, whoever forks meanwhile") {
  constexpr int kThreads = 4, kForks = 20;
  std::atomic<bool> stop{false};
  std::atomic<int> shared_slots{0};
  std::vector<std::thread> threads;
  for (int thread = 1; thread <= kThreads; ++thread) {
    threads.emplace_back([&, value = static_cast<unsigned char>(thread)] {
      while (!stop.load(std::memory_order_relaxed)) {
        const std::array<WipedSlot, 5> slots;
        for (const WipedSlot& slot : slots) write(slot, value);
        for (const WipedSlot& slot : slots)
          if (!holds(slot, value)) shared_slots.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (int i = 0; i < kForks; ++i) {
    // Without memory: a sanitizer's allocator may have been locked by one of the threads.
    ChildProcess child = ChildProcess::fork([] {
      const std::array<WipedSlot, 200> slots;
      std::array<void*, slots.size()> seen{};
      std::transform(slots.begin(), slots.end(), seen.begin(),
                     [](const WipedSlot& slot) { return slot.memory(); });
      std::sort(seen.begin(), seen.end());
      PORTOLAN_CHILD_REQUIRE(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
      return 0;
    });
    CHECK(child.wait() == ChildExit::exited(0));
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  CHECK(shared_slots.load(std::memory_order_relaxed) == 0);
}
