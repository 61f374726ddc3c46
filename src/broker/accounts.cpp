// SPDX-License-Identifier: Apache-2.0

#include "broker/accounts.hpp"

#include <algorithm>

namespace portolan::broker {

namespace {

constexpr std::array<std::uint64_t BrokerLimits::*, kResources> kBounds{
    &BrokerLimits::connections,   &BrokerLimits::names,      &BrokerLimits::waiting,
    &BrokerLimits::introductions, &BrokerLimits::watches,    &BrokerLimits::kept_ports,
    &BrokerLimits::queued_bytes,  &BrokerLimits::turned_away};

}  // namespace

std::uint64_t Accounts::bound(Resource what) const noexcept {
  return limits_.*kBounds[static_cast<std::size_t>(what)];
}

std::uint64_t Accounts::charged(std::uint32_t uid, Resource what) const noexcept {
  const auto found = users_.find(uid);
  return found == users_.end() ? 0 : found->second[static_cast<std::size_t>(what)];
}

bool Accounts::charge(std::uint32_t uid, Resource what, std::uint64_t amount) {
  const auto place = static_cast<std::size_t>(what);
  const std::uint64_t most = bound(what);
  const std::uint64_t total = most * std::max<std::uint64_t>(limits_.users, 1);
  const std::uint64_t mine = charged(uid, what);
  if (amount > most || mine > most - amount || all_[place] > total - std::min(amount, total)) return false;
  // Of what is left, an equal part for everybody who has some, and for whoever comes next: a user can fill
  // its own part, never the last one.
  const std::uint64_t left = total - all_[place];
  const auto others =
      static_cast<std::uint64_t>(std::count_if(users_.begin(), users_.end(), [&](const auto& user) {
        return user.first != uid && user.second[place] > 0;
      }));
  if (mine + amount > (left + mine) / (others + 1)) return false;
  users_[uid][place] += amount;
  all_[place] += amount;
  return true;
}

void Accounts::refund(std::uint32_t uid, Resource what, std::uint64_t amount) noexcept {
  const auto found = users_.find(uid);
  if (found == users_.end()) return;
  const auto place = static_cast<std::size_t>(what);
  const std::uint64_t back = std::min(amount, found->second[place]);
  found->second[place] -= back;
  all_[place] -= back;
  if (std::all_of(found->second.begin(), found->second.end(), [](std::uint64_t each) { return each == 0; }))
    users_.erase(found);
}

}  // namespace portolan::broker
