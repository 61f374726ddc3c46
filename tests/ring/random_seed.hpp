// SPDX-License-Identifier: Apache-2.0

// The seed of the random tests: printed by each, and taken from `--seed=N` on the command line to repeat a
// failure.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <random>
#include <string>

namespace portolan::testing {

inline std::uint64_t random_seed() {
  std::ifstream command_line("/proc/self/cmdline");
  for (std::string argument; std::getline(command_line, argument, '\0');)
    if (argument.starts_with("--seed=")) return std::strtoull(argument.c_str() + 7, nullptr, 0);
  static const std::uint64_t seed = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  return seed;
}

// Evenly from [least, most].
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  // splitmix64: a few cycles, where std::mt19937 would be half of a test's time.
  std::uint64_t word() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  std::uint64_t roll(std::uint64_t least, std::uint64_t most) { return least + word() % (most - least + 1); }
  bool one_in(std::uint64_t sides) { return word() % sides == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace portolan::testing

// doctest's own assertions cost a microsecond each; this one costs a branch until it fails.
#define HOLDS(...)                          \
  do {                                      \
    if (!(__VA_ARGS__)) FAIL(#__VA_ARGS__); \
  } while (false)
