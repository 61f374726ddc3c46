// SPDX-License-Identifier: Apache-2.0

// What writing and reading a Value as CBOR have in common.
#pragma once

#include <cstdint>
#include <utility>

#include <portolan/value.hpp>

namespace portolan::cbor {

constexpr std::uint64_t kDateTextTag = 0;
constexpr std::uint64_t kEpochDateTag = 1;
constexpr std::uint64_t kSelfDescribedTag = 55799;  // says "this is CBOR" and nothing about what follows
// "port" in ASCII: of the numbers that are given to whoever comes first, and free in IANA's registry.
constexpr std::uint64_t kPortTag = 0x706F'7274;

constexpr bool is_key(Value::Kind kind) {
  return kind != Value::Kind::array && kind != Value::Kind::map && kind != Value::Kind::port;
}

}  // namespace portolan::cbor
