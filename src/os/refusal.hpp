// SPDX-License-Identifier: Apache-2.0

// A kernel that refuses, as an exception: the one place where a system call's errno becomes a PortError.
#pragma once

#include <string_view>
#include <system_error>

namespace portolan::os {

/// Throws PortError with the message `call("object"): the kernel's text; cure`. An empty object gives
/// `call():`, an empty cure leaves its part out.
[[noreturn]] void throw_refusal(std::error_code code, std::string_view call, std::string_view object,
                                std::string_view cure);

/// Whether errno says that something is short, so that the same question may be answered later.
[[nodiscard]] bool is_shortage() noexcept;

/// errno, as a value.
[[nodiscard]] std::error_code last_error() noexcept;

}  // namespace portolan::os
