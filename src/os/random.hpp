// SPDX-License-Identifier: Apache-2.0

// Numbers that nobody can guess. Not std::random_device: libstdc++ asks which processor it runs on each time,
// which a virtual machine answers with a trap of 20 us.
#pragma once

#include <array>
#include <cstdint>

namespace portolan::os {

/// Never the same twice, in no thread and no forked child. Throws PortError if the kernel refuses.
[[nodiscard]] std::array<std::uint64_t, 2> random_words();

}  // namespace portolan::os
