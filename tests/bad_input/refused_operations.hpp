// SPDX-License-Identifier: Apache-2.0

// What the library does, each as something that is prepared, attempted, and looked at afterwards.
#pragma once

#include "bad_input/refusing_kernel.hpp"

#ifdef PORTOLAN_CAN_REFUSE

namespace portolan::testing {

struct RefusedOperation {
  const char* name;
  void (*body)(Attempt& attempt);
};

[[nodiscard]] std::vector<RefusedOperation> refused_operations();
// Those of them with strangers, workers and loops.
[[nodiscard]] std::span<const RefusedOperation> operations_among_others();

}  // namespace portolan::testing

#endif
