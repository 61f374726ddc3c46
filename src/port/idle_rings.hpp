// SPDX-License-Identifier: Apache-2.0

// Doorbells that bring nothing, and packets that nobody has announced: of a correct peer a sleep may meet one
// or two that come late. Who meets many in a row has a peer that floods, and looks at the socket only now and
// then.
#pragma once

#include <cstdint>

namespace portolan::port {

class IdleRings {
 public:
  // How long it does not look; the ring is looked at all the while.
  static constexpr std::int64_t kRestNs = 1'000'000;

  [[nodiscard]] bool flooded() const noexcept { return count_ > kMost; }
  void for_nothing() noexcept { count_ += count_ <= kMost ? 1 : 0; }
  // By a message, which a flood may hide behind.
  void answered() noexcept { count_ -= count_ > 0 ? 1 : 0; }
  // Nothing came for as long as a rest takes.
  void quiet() noexcept { count_ = 0; }

 private:
  // A default queue that was left to fill is empty after 18 drains.
  static constexpr std::uint32_t kMost = 32;

  std::uint32_t count_ = 0;
};

}  // namespace portolan::port
