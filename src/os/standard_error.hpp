// SPDX-License-Identifier: Apache-2.0

// Where messages for people go when nobody else takes them.
#pragma once

#include <string_view>

namespace portolan::os {

/// In one write, so that lines of several threads and processes stay whole; what cannot be written is lost.
void write_to_standard_error(std::string_view text) noexcept;

}  // namespace portolan::os
