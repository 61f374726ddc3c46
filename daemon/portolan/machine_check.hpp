// SPDX-License-Identifier: Apache-2.0

// What Portolan needs of the kernel and of the limits around this process, tried out one by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace command {

enum class Verdict : std::uint8_t {
  good,
  costs,   // it works, and something is slower or smaller than it could be
  broken,  // it does not work like this
};

struct MachineCheck {
  std::string name;
  Verdict verdict = Verdict::good;
  std::string found;
  std::string cost;  // empty if there is none
  std::string cure;
};

[[nodiscard]] std::vector<MachineCheck> check_machine();

}  // namespace command
