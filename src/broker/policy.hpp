// SPDX-License-Identifier: Apache-2.0

// Who may have which names, and who may connect to them. A line of the file is one rule:
//   allow own     user:render  org.example.render*
//   deny  connect uid:65534    *
// `own` is registering and keeping, `connect` is connecting and watching; who is `*`, `uid:N`, `gid:N`,
// `user:NAME` or `group:NAME`. The first rule that matches decides; without one this user and root may, and
// nobody else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace portolan::broker {

struct Applicant {
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> gids;
};

enum class Act : std::uint8_t { own, connect };

class Policy {
 public:
  /// No rules.
  explicit Policy(std::uint32_t own_uid) noexcept : own_uid_(own_uid) {}
  /// Throws PortError with `FILE:LINE: what is wrong; cure`.
  static Policy read(const std::string& file, std::uint32_t own_uid);
  static Policy parse(std::string_view text, const std::string& file, std::uint32_t own_uid);

  [[nodiscard]] bool allows(Act act, const Applicant& who, std::string_view name) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return rules_.size(); }

 private:
  struct Rule {
    bool allow = false;
    Act act = Act::own;
    enum class Who : std::uint8_t { everybody, user, group } who = Who::everybody;
    std::uint32_t id = 0;
    std::string pattern;
  };
  static Rule parse_rule(const std::vector<std::string_view>& words, const std::string& where);

  std::uint32_t own_uid_;
  std::vector<Rule> rules_;
};

}  // namespace portolan::broker
