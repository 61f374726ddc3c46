// SPDX-License-Identifier: Apache-2.0

// Counts primes with one process a CPU: the program starts itself again as its own workers, and each range
// goes to the one with the least to do. One dies in the middle of it; the pool starts another one, and what
// was lost with it is asked again, which here does no harm.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string_view>

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
  for (std::uint32_t n = range.begin; n < range.end; ++n) {
    std::uint32_t divisor = 2;
    while (divisor * divisor <= n && n % divisor != 0) ++divisor;
    primes += n > 1 && divisor * divisor > n;
  }
  return primes;
}

static void work() {
  portolan::MessagePort port = portolan::parent_port();
  portolan::on_request<Range>(port, count_primes);
  portolan::EventLoop::current().run();  // until the other end closes, or its process dies
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("work")) return work(), 0;
  constexpr std::uint32_t kEnd = 200'000, kStep = 10'000;
  std::uint32_t primes = 0, left = kEnd / kStep;
  portolan::WorkerPool pool("/proc/self/exe", {.arguments = {"work"}});
  pid_t victim = 0;
  pool.on_start([&](portolan::Worker& worker) { victim = worker.pid(); });
  const std::function<void(Range)> ask = [&](Range range) {
    pool.request(range).on_reply(
        [&](portolan::MessageEvent& found) {
          primes += found.data<std::uint32_t>();
          if (--left == kEnd / kStep / 2) ::kill(victim, SIGKILL);
          if (left == 0) pool.close();
        },
        [&, range](const portolan::RequestError&) { pool.when_available([&ask, range] { ask(range); }); });
  };
  for (std::uint32_t begin = 0; begin < kEnd; begin += kStep) ask({begin, begin + kStep});
  portolan::EventLoop::current().run();  // until the pool is closed
  std::printf("%u primes below %u\n", primes, kEnd);
  return primes == 17'984 ? 0 : 1;
}
