// SPDX-License-Identifier: Apache-2.0

// The channels of a process that has left a core dump: what it had mapped of their memory is in there, and is
// put together again in memory files of this process, so that everything else looks at them as at live ones.
#pragma once

#include <string>

#include "inspect/channel.hpp"

namespace portolan::inspect {

/// Throws std::runtime_error that says what is wrong with the file. A dump may be anybody's work: nothing in
/// it is believed further than a control page is.
[[nodiscard]] Channels read_core_dump(const std::string& path);

}  // namespace portolan::inspect
