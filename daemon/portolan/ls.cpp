// SPDX-License-Identifier: Apache-2.0

#include "channel_cells.hpp"
#include "exit_code.hpp"
#include "json_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {

int list_channels(const LsOptions& options) {
  const std::vector<LookedAt> found = look(options.filter, options.interval);
  if (options.json) {
    JsonArray all;
    for (const LookedAt& one : found) all.add(channel_json(one));
    print(all.str() + "\n");
    return found.empty() ? kNothing : kFound;
  }
  using enum Table::Align;
  Table table({{"ID", left},
               {"LABEL", left},
               {"A", left},
               {"B", left},
               {"UNREAD A>B", right},
               {"UNREAD B>A", right},
               {"A>B/s", right},
               {"B>A/s", right},
               {"MEMORY", right},
               {"WAITS", left}});
  for (const LookedAt& one : found) {
    const Channel& channel = one.channel;
    table.add({id_cell(channel), channel.control.label, end_cell(channel, Side::a),
               end_cell(channel, Side::b), unread_cell(channel.control.direction[0]),
               unread_cell(channel.control.direction[1]), rate_cell(one, Side::a), rate_cell(one, Side::b),
               bytes_text(channel.memory_bytes), waits_text(channel)});
  }
  if (!found.empty()) print(table.str());
  return found.empty() ? kNothing : kFound;
}

}  // namespace command
