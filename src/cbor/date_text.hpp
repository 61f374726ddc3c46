// SPDX-License-Identifier: Apache-2.0

// Dates as RFC 3339 writes them, "2013-03-21T20:04:00.5+01:00": what CBOR's tag 0 holds.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace portolan::cbor {

// Nothing if the text is no date. Parts of a millisecond are dropped; a leap second is the second after it.
std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_date(std::string_view text);

}  // namespace portolan::cbor
