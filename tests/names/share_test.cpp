// SPDX-License-Identifier: Apache-2.0

// What a broker gives to whom: shares of what is left, and rules.
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <system_error>
#include <vector>

#include <portolan/broker_limits.hpp>
#include <portolan/error.hpp>

#include "broker/accounts.hpp"
#include "broker/pace.hpp"
#include "broker/policy.hpp"

using namespace portolan;
using namespace portolan::broker;

namespace {

// How many single ones a user gets at once.
std::uint64_t fill(Accounts& accounts, std::uint32_t uid) {
  std::uint64_t count = 0;
  while (accounts.charge(uid, Resource::names, 1)) ++count;
  return count;
}

std::string mistake_in(const std::string& text) {
  try {
    static_cast<void>(Policy::parse(text, "policy", 1000));
  } catch (const PortError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("no user gets more than its bound, and none of them gets all that is left") {
  BrokerLimits limits;
  limits.names = 100;
  limits.users = 4;
  Accounts accounts(limits);
  CHECK(fill(accounts, 1) == 100);
  std::uint64_t last = 100, given = 100;
  for (std::uint32_t uid = 2; uid < 12; ++uid) {
    const std::uint64_t part = fill(accounts, uid);
    CHECK(part > 0);
    CHECK(part <= last);
    last = part;
    given += part;
  }
  CHECK(given < 400);
}

TEST_CASE("what is refunded may be had again, and a user with nothing leaves no account") {
  BrokerLimits limits;
  limits.names = 10;
  Accounts accounts(limits);
  CHECK(fill(accounts, 1) == 10);
  accounts.refund(1, Resource::names, 3);
  CHECK(fill(accounts, 1) == 3);
  CHECK_FALSE(accounts.charge(2, Resource::names, 11));
  CHECK(accounts.size() == 1);
  accounts.refund(1, Resource::names, 10);
  CHECK(accounts.size() == 0);
}

namespace {

// Who has waited with some connections, one packet each: which of them are next.
std::vector<std::uint64_t> turns_of(Pace& pace, std::int64_t now) {
  std::vector<std::uint64_t> next;
  pace.take_turns(now, next);
  return next;
}

}  // namespace

TEST_CASE("users take turns at a broker, however many connections one of them has") {
  Pace pace;
  const std::int64_t now = 5 * Pace::kPresentNs;
  CHECK_FALSE(pace.next_turn_ns(now));
  for (std::uint64_t connection = 100; connection < 103; ++connection) pace.come(1, connection);
  pace.come(2, 200);
  CHECK(pace.next_turn_ns(now) == now);
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{100, 200});
  pace.come(2, 200);
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{101, 200});
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{102});
  CHECK(turns_of(pace, now).empty());
}

TEST_CASE("a user gets all of a broker's time while it is alone, and beside another one its part") {
  Pace pace;
  std::int64_t now = 5 * Pace::kPresentNs;
  const auto talk = [&](std::uint32_t uid) {
    for (std::uint32_t i = 0; i < Pace::kMostPackets; ++i) pace.note(uid, now);
    pace.come(uid, uid);
  };
  talk(1);
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{1});
  pace.come(1, 1);
  pace.note(2, now);
  pace.come(2, 2);
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{2});
  CHECK(pace.next_turn_ns(now) == now + Pace::kWindowNs);
  now += Pace::kWindowNs;
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{1});
  talk(1);
  CHECK(turns_of(pace, now).empty());
  now += Pace::kPresentNs;
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{1});
  talk(1);
  CHECK(turns_of(pace, now) == std::vector<std::uint64_t>{1});
}

TEST_CASE("the first rule that matches decides, and without one a broker's user and root may do everything") {
  const Policy policy = Policy::parse(
      "# services\n"
      "allow own gid:7 org.example.*\n"
      "deny connect uid:5 *\n"
      "allow connect * org.example.*   # everybody else\n",
      "policy", 1000);
  CHECK(policy.size() == 3);
  const Applicant five{5, {5}}, six{6, {6, 7}}, self{1000, {1000}}, root{0, {0}};
  CHECK(policy.allows(Act::own, six, "org.example.x"));
  CHECK_FALSE(policy.allows(Act::own, six, "com.example.x"));
  CHECK_FALSE(policy.allows(Act::own, five, "org.example.x"));
  CHECK_FALSE(policy.allows(Act::connect, five, "org.example.x"));
  CHECK(policy.allows(Act::connect, six, "org.example.x"));
  CHECK_FALSE(policy.allows(Act::connect, six, "com.example.x"));
  for (const Applicant& each : {self, root}) CHECK(policy.allows(Act::own, each, "com.example.x"));
}

TEST_CASE("a mistake in the rules is named with its line, and what would be right") {
  CHECK(mistake_in("\nallow own *\n") ==
        "policy:2: a rule has four words, such as \"allow connect user:render org.example.*\"");
  CHECK(mistake_in("permit own * x") == "policy:1: \"permit\" is neither allow nor deny");
  CHECK(mistake_in("allow own user:no-such-user x").find("is not known here") != std::string::npos);
  CHECK(mistake_in("allow own uid:12x x").find("is not known here") != std::string::npos);
  CHECK(mistake_in("allow own uid: x").find("is not known here") != std::string::npos);
  CHECK(mistake_in("allow own me x").find("is nobody; use *, uid:N") != std::string::npos);
  CHECK(mistake_in("allow own * a/b").find("is no pattern of names") != std::string::npos);
}
