// SPDX-License-Identifier: Apache-2.0

// A fork comes at any moment of what the other threads do with their ports.
#include <atomic>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Channels are born, used, moved and closed.
void live() {
  MessageChannel channel, carrier;
  channel.port1.post_message("to and fro");
  carrier.port1.post_message("on", {.transfer = {channel.port2}});
  const MessagePort moved = std::move(carrier.port2.receive()->ports()[0]);
  carrier = {};
}

// In a child of one thread that has asked for nothing: which descriptors are there, of those that may be.
bool has_descriptor_of_a_port() {
  for (int number = 3; number < 256; ++number) {
    char path[32], target[256];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", number);
    const ssize_t length = ::readlink(path, target, sizeof target - 1);
    if (length < 0) continue;
    const std::string_view what(target, static_cast<std::size_t>(length));
    if (what.starts_with("socket:") || what.find("portolan") != what.npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a child forked while other threads make, move and close ports has none of their descriptors") {
  const PortCensus census;
  std::atomic<bool> done{false};
  std::atomic<int> rounds{0};
  std::thread others([&] {
    while (!done.load()) {
      live();
      ++rounds;
    }
  });
  int clean = 0, forks = 0;
  for (; forks < 200 || rounds.load() < 1000; ++forks) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(has_descriptor_of_a_port() ? 1 : 0);
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (status == 0) ++clean;
  }
  done.store(true);
  others.join();
  CHECK(clean == forks);
}
