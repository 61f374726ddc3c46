// SPDX-License-Identifier: Apache-2.0

#include "fuzz/user_types.hpp"

namespace portolan::fuzz {

bool read(std::span<const std::byte> input) {
  return UserTypes::read(input, true);
}

std::vector<Input> seeds() {
  return user_seeds(true);
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return (8 << 10) + 512 * input_bytes;
}

}  // namespace portolan::fuzz
