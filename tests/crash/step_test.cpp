// SPDX-License-Identifier: Apache-2.0

// A kill behind an instruction of everything that an owner does with its port: of each that leaves another
// state behind it, in the shared memory or in the kernel, or of each whatsoever.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>

#include "crash/diary.hpp"
#include "crash/edges.hpp"
#include "crash/stepped_port.hpp"
#include "ring/random_seed.hpp"

#ifdef PORTOLAN_CAN_STEP

using namespace portolan;
using namespace portolan::testing;

namespace {

// The first pages of each direction of a channel as SteppedPort makes it; whether they have changed since the
// last look.
class MemoryWatch {
 public:
  explicit MemoryWatch(std::vector<PortHandle>& handles) {
    for (PortHandle& handle : handles) {
      void* const memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, handle.segment().get(), 0);
      REQUIRE(memory != MAP_FAILED);
      segments_.push_back(static_cast<const std::byte*>(memory));
      for (const Range& range : kRanges) seen_.emplace_back(range.bytes);
    }
    static_cast<void>(changed());
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;
  ~MemoryWatch() {
    for (const std::byte* const segment : segments_) ::munmap(const_cast<std::byte*>(segment), kBytes);
  }

  bool changed() {
    bool any = false;
    std::size_t index = 0;
    for (const std::byte* const segment : segments_)
      for (const Range& range : kRanges) {
        std::vector<std::byte>& seen = seen_[index++];
        if (std::memcmp(seen.data(), segment + range.begin, range.bytes) == 0) continue;
        std::memcpy(seen.data(), segment + range.begin, range.bytes);
        any = true;
      }
    return any;
  }

 private:
  struct Range {
    std::size_t begin, bytes;
  };
  static constexpr std::size_t kDirection = 64 << 10, kBytes = 4096 + 2 * kDirection;
  static constexpr Range kRanges[] = {{0, 4096 + 3 * 4096}, {4096 + kDirection, 3 * 4096}};

  std::vector<const std::byte*> segments_;
  std::vector<std::vector<std::byte>> seen_;
};

// A tracer and its child change places at every instruction: nobody has to be woken elsewhere for it.
class OneProcessor {
 public:
  OneProcessor() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// A sanitizer multiplies the instructions.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStride = 61;
#else
constexpr std::uint64_t kStride = 9;
#endif

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const wished = std::getenv(variable);
  return wished != nullptr ? std::strtoull(wished, nullptr, 10) : otherwise;
}

// Every instruction, or those that leave a new state; one in so many of them, from the seed on.
struct Sample {
  bool instructions = number_from("PORTOLAN_STEP_ALL", 0) != 0;
  std::uint64_t stride = number_from("PORTOLAN_STEP_STRIDE", kStride);
  std::uint64_t seed = random_seed();

  // Of so many; one at least.
  [[nodiscard]] bool takes(std::uint64_t index, std::uint64_t count) const {
    const std::uint64_t step = std::min(stride, count);
    return index % step == seed % step;
  }
};

}  // namespace

TEST_CASE("a kill behind any instruction loses nothing, repeats nothing unmarked, and leaves nothing" *
          doctest::timeout(3600)) {
  const Sample sample;
  const std::uint64_t seed = sample.seed;
  CAPTURE(seed);
  SteppedPort stepped;
  const OneProcessor pinned;
  for (const Operation& operation : SteppedPort::operations()) {
    INFO(std::string(operation.name));
    const PortCensus census;
    std::vector<Step> steps;
    stepped.run(operation, [&](pid_t child, std::vector<PortHandle>& handles) {
      MemoryWatch memory(handles);
      steps = survey(child, [&] { return memory.changed(); });
    });
    REQUIRE(steps.size() > 1);
    const auto states = static_cast<std::uint64_t>(
        std::count_if(steps.begin(), steps.end(), [](const Step& step) { return step.new_state; }));
    const std::uint64_t count = sample.instructions ? steps.size() : states;
    std::uint64_t index = 0, kills = 0;
    for (const Step& step : steps) {
      if (!(step.new_state || sample.instructions) || !sample.takes(index++, count)) continue;
      CAPTURE(step.calls);
      CAPTURE(step.instructions);
      stepped.run(operation, [&](pid_t child, std::vector<PortHandle>&) {
        if (run_to_step(child, step)) ++kills;
      });
    }
    std::printf("stepped through %s: %zu instructions, %llu states, %llu kills\n", operation.name,
                steps.size(), static_cast<unsigned long long>(states),
                static_cast<unsigned long long>(kills));
    std::fflush(stdout);
    CHECK(kills > 0);
  }
}

#endif
