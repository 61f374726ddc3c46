// SPDX-License-Identifier: Apache-2.0

// What the command's exit status tells a script.
#pragma once

namespace command {

inline constexpr int kFound = 0;    // done; something matched; usable
inline constexpr int kNothing = 1;  // nothing matched; the other side ended first; not usable
inline constexpr int kFailed = 2;   // wrong arguments, or the kernel or the peer refused

}  // namespace command
