// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include "exit_code.hpp"
#include "json_text.hpp"
#include "machine_check.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

std::string_view word_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::good:
      return "good";
    case Verdict::costs:
      return "costs";
    case Verdict::broken:
      return "broken";
  }
  return "unknown";
}

Tone tone_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::good:
      return Tone::good;
    case Verdict::costs:
      return Tone::warning;
    case Verdict::broken:
      break;
  }
  return Tone::bad;
}

}  // namespace

int examine_machine(const DoctorOptions& options) {
  bool usable = true;
  Table table({{"WHAT"}, {"IS"}, {"FOUND"}});
  std::string remedies;
  JsonArray all;
  for (const MachineCheck& check : check_machine()) {
    usable = usable && check.verdict != Verdict::broken;
    table.add({check.name, toned(word_of(check.verdict), tone_of(check.verdict)), check.found});
    if (!check.cost.empty()) remedies += fmt::format("{}: {}\n    {}\n", check.name, check.cost, check.cure);
    all.add(JsonObject()
                .text("name", check.name)
                .text("verdict", word_of(check.verdict))
                .text("found", check.found)
                .text("cost", check.cost)
                .text("cure", check.cure)
                .str());
  }
  if (options.json)
    print(JsonObject().flag("usable", usable).raw("checks", all.str()).str() + "\n");
  else
    print(table.str() + (remedies.empty() ? "" : "\n" + remedies) +
          (usable ? "\nPortolan works here.\n" : "\nPortolan does not work here.\n"));
  return usable ? kFound : kNothing;
}

}  // namespace command
