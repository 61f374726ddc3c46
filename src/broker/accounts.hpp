// SPDX-License-Identifier: Apache-2.0

// What each user has of the broker, charged before it is given and refunded when it is let go of.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include <portolan/broker_limits.hpp>

namespace portolan::broker {

enum class Resource : std::uint8_t {
  connections,
  names,
  waiting,
  introductions,
  watches,
  kept_ports,
  queued_bytes,
  turned_away
};
inline constexpr std::size_t kResources = 8;

class Accounts {
 public:
  explicit Accounts(const BrokerLimits& limits) noexcept : limits_(limits) {}

  /// False, with nothing charged, if it is more than the user's bound or its part of what is left for all.
  [[nodiscard]] bool charge(std::uint32_t uid, Resource what, std::uint64_t amount);
  void refund(std::uint32_t uid, Resource what, std::uint64_t amount) noexcept;

  [[nodiscard]] std::uint64_t bound(Resource what) const noexcept;
  [[nodiscard]] std::uint64_t charged(std::uint32_t uid, Resource what) const noexcept;
  /// Users who have anything.
  [[nodiscard]] std::size_t size() const noexcept { return users_.size(); }

 private:
  using Account = std::array<std::uint64_t, kResources>;

  const BrokerLimits& limits_;
  std::map<std::uint32_t, Account> users_;
  Account all_{};
};

}  // namespace portolan::broker
