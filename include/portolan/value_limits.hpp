// SPDX-License-Identifier: Apache-2.0

// What writer and reader of values agree on besides the encoding itself.
#pragma once

#include <array>
#include <boost/serialization/library_version_type.hpp>
#include <cstddef>

#include <portolan/codec.hpp>

/// Of a function whose archive has no address: what it calls is inlined. Not under sanitizers, which give
/// every inlined call stack of its own.
#if defined(__SANITIZE_ADDRESS__)
#define PORTOLAN_FLATTEN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PORTOLAN_FLATTEN
#endif
#endif
#ifndef PORTOLAN_FLATTEN
#define PORTOLAN_FLATTEN [[gnu::flatten]]
#endif

namespace portolan {
inline namespace v1 {

/// The low half of the first byte of every value.
inline constexpr std::byte kValueEncoding{1};

/// A flag in its high half: the value is an object with its class version in front.
inline constexpr std::byte kVersionInFront{0x10};

/// That byte, and the fingerprint of the type's name.
inline constexpr std::size_t kValueHeadBytes = 5;

/// How deep objects with a `serialize` may be nested in each other, counted the same way on both sides;
/// anything else that nests is bounded by its C++ type. A level of a tree or list takes 30 to 210 bytes of
/// stack, 900 without optimisation, 1,600 under AddressSanitizer (gcc 12), so the limit is far inside a
/// thread's 8 MiB.
inline constexpr std::size_t kDepthLimit = 1000;

/// Memory that a foreign peer's message may make its reader take for elements: each costs the peer a byte at
/// least, but perhaps many of memory.
inline constexpr std::size_t kForeignMemoryBytes = 64 << 10;
inline constexpr std::size_t kForeignMemoryFactor = 64;  // times the bytes of the message

/// What a sequence takes for elements before it has read any.
inline constexpr std::size_t kFirstStepBytes = 512;

/// What a node of a set or map takes besides its element, roughly.
inline constexpr std::size_t kNodeBytes = 48;

/// Objects up to this size are written and read within the code of what they are in; larger ones have code of
/// their own, which takes a call.
inline constexpr std::size_t kSmallObjectBytes = 32;

/// What get_library_version() says. Users' code asks it to know whether item versions are written (since 4);
/// it is part of this encoding and does not follow Boost's.
inline const boost::serialization::library_version_type kLibraryVersion{18};

/// Whether arrays of T are written and read in one piece.
template <class T>
inline constexpr bool is_bulk = !Coded<T> && (is_written_as_memory<T>() || Plain<T>);
template <class T, std::size_t N>
inline constexpr bool is_bulk<std::array<T, N>> = !Coded<std::array<T, N>> && is_bulk<T>;

}  // namespace v1
}  // namespace portolan
