// SPDX-License-Identifier: Apache-2.0

#include <cstdint>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  static_cast<void>(portolan::fuzz::read_watched(std::as_bytes(std::span(data, bytes))));
  return 0;
}
