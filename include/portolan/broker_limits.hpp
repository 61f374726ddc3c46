// SPDX-License-Identifier: Apache-2.0

// What a broker gives to one user and to all of them: the defaults, in one place.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace portolan {
inline namespace v1 {

/// Each is a bound for all programs of one user. Of what all users together may have, which is as often as
/// `users` says, the n users who have some may take an n-th part of what is left each, so that nobody takes
/// all.
struct BrokerLimits {
  std::uint64_t users = 16;
  std::uint64_t connections = 512;
  std::uint64_t turned_away = 2'048;
  std::uint64_t names = 256;
  std::uint64_t waiting = 256;
  std::uint64_t introductions = 64;
  std::uint64_t watches = 64;
  std::uint64_t kept_ports = 512;
  std::uint64_t queued_bytes = 1 << 20;
  std::uint64_t silence_ms = 5'000;
  std::uint64_t custody_ms = 60'000;
};

struct BrokerLimit {
  std::string_view option;
  std::uint64_t BrokerLimits::*value;
  std::string_view meaning;
};

/// The same as options of portoland, for its help and its man page.
inline constexpr std::array kBrokerLimits{
    BrokerLimit{"users", &BrokerLimits::users, "users whose full share fits into the broker at a time"},
    BrokerLimit{"connections", &BrokerLimits::connections, "connections of a user"},
    BrokerLimit{"turned-away", &BrokerLimits::turned_away,
                "connections of a user beyond those, kept for a second without being served"},
    BrokerLimit{"names", &BrokerLimits::names, "names of a user"},
    BrokerLimit{"waiting", &BrokerLimits::waiting, "connects of a user that wait for a name"},
    BrokerLimit{"introductions", &BrokerLimits::introductions,
                "ports of a user that a busy listener has not taken"},
    BrokerLimit{"watches", &BrokerLimits::watches, "watches of a user"},
    BrokerLimit{"kept-ports", &BrokerLimits::kept_ports, "ports of a user in custody, two descriptors each"},
    BrokerLimit{"queued-bytes", &BrokerLimits::queued_bytes,
                "bytes that programs of a user have not read yet"},
    BrokerLimit{"silence-ms", &BrokerLimits::silence_ms,
                "milliseconds for a program to say hello, and to read"},
    BrokerLimit{"custody-ms", &BrokerLimits::custody_ms,
                "longest custody after an owner's death, in milliseconds"},
};

}  // namespace v1
}  // namespace portolan
