// SPDX-License-Identifier: Apache-2.0

// A frame's header as both processes see it: one atomic word, wherever in the extent it stands.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ring/frame.hpp"

namespace portolan::ring {

using HeaderWord = std::atomic_ref<std::uint64_t>;

inline HeaderWord header_at(std::byte* place) noexcept {
  return HeaderWord{*reinterpret_cast<std::uint64_t*>(place)};
}

static_assert(HeaderWord::is_always_lock_free);

}  // namespace portolan::ring
