// SPDX-License-Identifier: Apache-2.0

// Text that another process wrote, made fit for a terminal, a log and JSON.
#pragma once

#include <string>
#include <string_view>

namespace portolan::inspect {

/// Valid UTF-8 without control characters: what is none of it becomes '?', so that a label or a message can
/// neither move the cursor nor break a line.
[[nodiscard]] std::string shown_text(std::string_view text);

}  // namespace portolan::inspect
