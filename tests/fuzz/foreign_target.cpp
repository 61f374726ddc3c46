// SPDX-License-Identifier: Apache-2.0

// All types again, as a foreign peer's messages.
#include "fuzz/standard_types.hpp"
#include "fuzz/user_types.hpp"

namespace portolan::fuzz {

bool read(std::span<const std::byte> input) {
  if (input.empty()) return false;
  const bool is_user_type = (std::to_integer<unsigned>(input[0]) & 1) != 0;
  return is_user_type ? UserTypes::read(input.subspan(1), false)
                      : StandardTypes::read(input.subspan(1), false);
}

std::vector<Input> seeds() {
  std::vector<Input> inputs;
  for (const bool is_user_type : {false, true}) {
    for (Input& seed : is_user_type ? user_seeds(false) : standard_seeds(false)) {
      seed.insert(seed.begin(), std::byte{is_user_type});
      inputs.push_back(std::move(seed));
    }
  }
  return inputs;
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return (8 << 10) + kForeignMemoryBytes + 512 * input_bytes;
}

}  // namespace portolan::fuzz
