// SPDX-License-Identifier: Apache-2.0

#include "broker/policy.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <portolan/error.hpp>

#include "broker/text_lines.hpp"
#include "os/refusal.hpp"
#include "os/user_database.hpp"
#include "wire/name_packet.hpp"

namespace portolan::broker {

namespace {

std::optional<std::uint32_t> number_in(std::string_view digits) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc{} && end == digits.data() + digits.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

Policy::Rule Policy::parse_rule(const std::vector<std::string_view>& words, const std::string& where) {
  if (words.size() != 4)
    refuse_text(where, "a rule has four words, such as \"allow connect user:render org.example.*\"");
  Rule rule;
  if (words[0] != "allow" && words[0] != "deny")
    refuse_text(where, "\"" + std::string(words[0]) + "\" is neither allow nor deny");
  rule.allow = words[0] == "allow";
  if (words[1] != "own" && words[1] != "connect")
    refuse_text(where, "\"" + std::string(words[1]) + "\" is neither own nor connect");
  rule.act = words[1] == "own" ? Act::own : Act::connect;
  const std::string who(words[2]);
  const std::string object = who.substr(std::min(who.find(':'), who.size() - 1) + 1);
  std::optional<std::uint32_t> id;
  if (who == "*") {
    id = 0;
  } else if (who.starts_with("uid:") || who.starts_with("user:")) {
    rule.who = Rule::Who::user;
    id = who.starts_with("uid:") ? number_in(object) : os::uid_of_user(object);
  } else if (who.starts_with("gid:") || who.starts_with("group:")) {
    rule.who = Rule::Who::group;
    id = who.starts_with("gid:") ? number_in(object) : os::gid_of_group(object);
  } else {
    refuse_text(where, "\"" + who + "\" is nobody; use *, uid:N, gid:N, user:NAME or group:NAME");
  }
  if (!id)
    refuse_text(where, "\"" + who + "\" is not known here; use a user or group of this system, or a number");
  rule.id = *id;
  rule.pattern = words[3];
  if (!wire::is_name_pattern(rule.pattern))
    refuse_text(where, "\"" + rule.pattern + "\" is no pattern of names; use letters, digits, ._- and *");
  return rule;
}

Policy Policy::parse(std::string_view text, const std::string& file, std::uint32_t own_uid) {
  Policy policy(own_uid);
  for_each_line(text, [&](std::size_t number, std::string_view line) {
    const auto words = words_of(line);
    if (!words.empty()) policy.rules_.push_back(parse_rule(words, file + ":" + std::to_string(number)));
  });
  return policy;
}

Policy Policy::read(const std::string& file, std::uint32_t own_uid) {
  return parse(read_configuration(file), file, own_uid);
}

bool Policy::allows(Act act, const Applicant& who, std::string_view name) const noexcept {
  for (const Rule& rule : rules_) {
    if (rule.act != act || !wire::matches(rule.pattern, name)) continue;
    const bool meant = rule.who == Rule::Who::everybody ||
                       (rule.who == Rule::Who::user && rule.id == who.uid) ||
                       (rule.who == Rule::Who::group &&
                        std::find(who.gids.begin(), who.gids.end(), rule.id) != who.gids.end());
    if (meant) return rule.allow;
  }
  return who.uid == own_uid_ || who.uid == 0;
}

}  // namespace portolan::broker
