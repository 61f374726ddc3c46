// SPDX-License-Identifier: Apache-2.0

// Asking for a cache line before it is written. Public only because posting is inlined.
#pragma once

namespace portolan {
inline namespace v1 {
namespace lane {

/// A hint; the address may lie anywhere. It takes the line away from whoever has it: on x86-64 the compiler's
/// own prefetch for writing only asks to read, unless it is told of the processor, and the store then has to
/// ask once more (docs/decisions/prefetch-to-write.md). A processor that does not know the instruction passes
/// over it: the manuals name no exception but that for a LOCK prefix.
inline void prefetch_to_write(const void* address) noexcept {
#ifdef __x86_64__
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan
