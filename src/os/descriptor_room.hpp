// SPDX-License-Identifier: Apache-2.0

// Room for descriptors about to be received: a full descriptor table makes recvmsg drop what does not fit,
// for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace portolan::os {

/// Whether so many more descriptors fit at this moment: an error is EMFILE, ENFILE or ENOMEM. Asked right
/// before recvmsg; another thread may still take the places in between.
[[nodiscard]] std::error_code require_descriptor_room(std::size_t count) noexcept;

/// How many this process may have at the moment (the soft RLIMIT_NOFILE).
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;

}  // namespace portolan::os
