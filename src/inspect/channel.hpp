// SPDX-License-Identifier: Apache-2.0

// A channel as an onlooker sees it: its segment, who has which end, what waits in it, and who waits for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/control_snapshot.hpp"
#include "inspect/segment_search.hpp"

namespace portolan::inspect {

enum class EndPlace : std::uint8_t {
  owned,       // a process has it that can be seen
  held,        // nobody uses it, but a process has its descriptors: an unused port, or one in custody
  in_transit,  // no process has it: it waits in a socket's queue
  closed,      // by its owner
  gone,        // its owner has ended, or cannot be seen from here
  elsewhere,   // of a core dump: another process's than the dumped one
};

/// "owned", "in transit", ...
[[nodiscard]] std::string_view name_of(EndPlace place) noexcept;

struct End {
  EndPlace place = EndPlace::gone;
  std::optional<std::size_t> holder;  // index into the channel's holders, if it is owned or held
};

struct Channel {
  FoundSegment segment;
  ControlSnapshot control;
  std::uint64_t memory_bytes = 0;
  std::array<End, 2> end;  // by ring::Side

  [[nodiscard]] const Holder* holder(ring::Side side) const noexcept;
  /// Whether the owner of this end sleeps until a message comes, or until there is room for one.
  [[nodiscard]] bool waits_for_message(ring::Side side) const noexcept;
  [[nodiscard]] bool waits_for_room(ring::Side side) const noexcept;
};

struct Channels {
  std::vector<Channel> channels;        // by label, then by id
  std::vector<std::string> unreadable;  // files sealed as a segment that are none: what is wrong, and where
  std::size_t unreadable_processes = 0;
};

/// Every channel that this user may look at.
[[nodiscard]] Channels find_channels();

/// Looks at the counters of a channel again; false if its memory cannot be read any more, and then it is
/// unchanged.
bool look_again(Channel& channel);

/// Which process has which end, as far as the page and the holders together tell. A page may say anything: an
/// owner is only believed if it holds the file.
[[nodiscard]] std::array<End, 2> locate_ends(const ControlSnapshot& control,
                                             const std::vector<Holder>& holders);

}  // namespace portolan::inspect
