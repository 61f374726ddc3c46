// SPDX-License-Identifier: Apache-2.0

// Counts primes with one process a CPU: the program starts itself again as its own workers, gives each one
// range, and the next one whenever an answer comes back.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <thread>

#include <portolan/portolan.hpp>

struct Range {
  std::uint32_t begin = 0, end = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& begin& end;
  }
};

static std::uint32_t count_primes(Range range) {
  std::uint32_t primes = 0;
  for (std::uint32_t n = std::max(range.begin, 2U); n < range.end; ++n) {
    std::uint32_t divisor = 2;
    while (divisor * divisor <= n && n % divisor != 0) ++divisor;
    primes += divisor * divisor > n;
  }
  return primes;
}

static void work() {
  portolan::MessagePort port = portolan::parent_port();
  port.on_message<Range>([&](Range range) { port.post_message(count_primes(range)); });
  portolan::EventLoop::current().run();  // until the other end closes, or its process dies
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("work")) return work(), 0;

  constexpr std::uint32_t kEnd = 200'000, kStep = 10'000;
  std::uint32_t next = 0, primes = 0;
  std::deque<portolan::Worker> pool;
  const auto give_more = [&](portolan::Worker& worker) {
    if (next == kEnd) return worker.port().close();
    worker.post_message(Range{next, next + kStep});
    next += kStep;
  };
  for (unsigned i = std::max(2U, std::thread::hardware_concurrency()); i > 0; --i) {
    portolan::Worker& worker = pool.emplace_back("/proc/self/exe", std::vector<std::string>{"work"});
    worker.on_message<std::uint32_t>([&](std::uint32_t found) { primes += found, give_more(worker); });
    give_more(worker);
  }
  portolan::EventLoop::current().run();  // until the last worker has exited
  std::printf("%u primes below %u\n", primes, kEnd);
}
