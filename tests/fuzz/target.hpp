// SPDX-License-Identifier: Apache-2.0

// A reader that is fuzzed: every file *_target.cpp is one, linked either with libFuzzer or with
// kept_corpus.cpp, which reads the committed corpus.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace portolan::fuzz {

using Input = std::vector<std::byte>;

// Reads the input, which has memory of exactly its size. Whether there was something in it; ends the program
// if that is not what a writer would have written.
bool read(std::span<const std::byte> input);

// What writers write: all of it is read.
std::vector<Input> seeds();

// The memory that reading `input_bytes` may take at any one time.
std::size_t memory_limit_bytes(std::size_t input_bytes);

// read(), which ends the program if it takes more than that.
bool read_watched(std::span<const std::byte> input);

}  // namespace portolan::fuzz

// An assertion that is there in every build.
#define FUZZ_HOLDS(...)                                                      \
  do {                                                                       \
    if (!(__VA_ARGS__)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
      std::abort();                                                          \
    }                                                                        \
  } while (false)
