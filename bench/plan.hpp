// SPDX-License-Identifier: Apache-2.0

// How much of a question is asked: of everybody and at all sizes, or what fits into two minutes.
#pragma once

#include "peers/peer.hpp"

namespace bench {

struct Plan {
  Peers peers;
  bool full = false;
};

}  // namespace bench
