// SPDX-License-Identifier: Apache-2.0

// names: who has which name with portoland, since when, and who waits.
#include <fmt/core.h>

#include <portolan/name_list.hpp>

#include "exit_code.hpp"
#include "inspect/process_table.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

using portolan::ListedName;

// As this process may see it; portoland may live in another pid namespace.
std::string owner_text(const ListedName& one) {
  if (one.generation == 0) return toned("nobody", Tone::bad);
  const auto status = portolan::inspect::status_of(static_cast<int>(one.owner.pid));
  const bool known = one.owner.pid != 0 && !status.name.empty() && status.uid == one.owner.uid;
  return fmt::format("{}[{}]", known ? status.name : "?", one.owner.pid);
}

std::string pending_text(const ListedName& one) {
  if (one.pending == 0) return toned("-", Tone::faint);
  return toned(fmt::format("{} {}", one.pending, one.generation == 0 ? "wait for it" : "not taken"),
               Tone::warning);
}

std::string name_json(const ListedName& one) {
  JsonObject json;
  json.text("name", one.name).number("generation", one.generation).flag("registered", one.generation != 0);
  json.number("pid", one.owner.pid).number("uid", one.owner.uid).number("gid", one.owner.gid);
  json.raw("seconds", fmt::format("{:.3f}", std::chrono::duration<double>(one.age).count()));
  return json.number("pending", one.pending).str();
}

}  // namespace

int show_names(const NamesOptions& options) {
  const std::vector<ListedName> found = portolan::list_names(options.pattern);
  if (options.json) {
    JsonArray all;
    for (const ListedName& one : found) all.add(name_json(one));
    print(all.str() + "\n");
    return found.empty() ? kNothing : kFound;
  }
  using enum Table::Align;
  Table table({{"NAME", left},
               {"OWNER", left},
               {"UID", right},
               {"GENERATION", right},
               {"SINCE", right},
               {"PENDING", left}});
  for (const ListedName& one : found) {
    const bool here = one.generation != 0;
    table.add({one.name, owner_text(one), here ? std::to_string(one.owner.uid) : toned("-", Tone::faint),
               here ? std::to_string(one.generation) : toned("-", Tone::faint),
               here ? duration_text(std::chrono::duration<double>(one.age).count()) : toned("-", Tone::faint),
               pending_text(one)});
  }
  if (!found.empty()) print(table.str());
  return found.empty() ? kNothing : kFound;
}

}  // namespace command
