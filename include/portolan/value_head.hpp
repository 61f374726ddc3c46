// SPDX-License-Identifier: Apache-2.0

// What stands in front of every value: which encoding, and of which type. The type is a fingerprint of its
// name, without structure or version, so that a mistaken type is noticed before anything is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <portolan/codec.hpp>
#include <portolan/type_name.hpp>
#include <portolan/value_limits.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// The first bytes of a value of type T: one for the encoding and its flags, four for the fingerprint.
template <class T>
inline constexpr std::array<std::byte, kValueHeadBytes> value_head = [] {
  constexpr bool kVersioned = !Formed<T> && is_versioned<T>;
  constexpr std::uint32_t kFingerprint = type_identity<T>.fingerprint;
  std::array<std::byte, kValueHeadBytes> head{kVersioned ? kValueEncoding | kVersionInFront : kValueEncoding};
  for (std::size_t i = 0; i < sizeof kFingerprint; ++i)
    head[1 + i] = static_cast<std::byte>(kFingerprint >> (8 * i));
  return head;
}();

/// Throws DataCloneError that names both types. `head` is what was taken as such; null: there was none.
[[noreturn]] PORTOLAN_API void refuse_head(Source& source, const std::byte* head, const TypeIdentity& wanted);

/// Takes the head of a value of type T. Throws DataCloneError if the message does not begin with it.
template <class T>
void require_head(Source& source) {
  const std::byte* head = nullptr;
  if (source.format() == Format::value && source.left() >= kValueHeadBytes) [[likely]] {
    head = source.take(kValueHeadBytes);
    if (std::memcmp(head, value_head<T>.data(), kValueHeadBytes) == 0) [[likely]]
      return;
  }
  refuse_head(source, head, type_identity<T>);
}

}  // namespace v1
}  // namespace portolan
