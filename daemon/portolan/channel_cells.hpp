// SPDX-License-Identifier: Apache-2.0

// A channel in the columns of a table: what ls shows once and top again and again.
#pragma once

#include <string>

#include "looking.hpp"

namespace command {

[[nodiscard]] std::string id_cell(const Channel& channel);
[[nodiscard]] std::string end_cell(const Channel& channel, Side side);
[[nodiscard]] std::string unread_cell(const portolan::inspect::DirectionSnapshot& direction);
[[nodiscard]] std::string rate_cell(const LookedAt& one, Side writer);

}  // namespace command
