// SPDX-License-Identifier: Apache-2.0

// A message as one line of text, decoded as far as its format tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <portolan/encoding.hpp>

namespace command {

/// Text as it is, with what would break the line or steer a terminal as escapes; bytes likewise if they are
/// text, else in hexadecimal; a number as one; a CBOR item in the diagnostic notation of RFC 8949; of a value
/// its type's fingerprint, or its name if `type_name` knows it, and its bytes.
[[nodiscard]] std::string message_text(portolan::Format format, std::span<const std::byte> payload);

}  // namespace command
