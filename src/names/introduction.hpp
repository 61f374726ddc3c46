// SPDX-License-Identifier: Apache-2.0

// A port that a stranger has brought, and who that is, before anybody has looked at it.
#pragma once

#include <cstdint>
#include <string>

#include <portolan/listener.hpp>

#include "port/parcel.hpp"

namespace portolan::names {

struct Introduction {
  port::Parcel parcel;
  PeerIdentity peer;
};

/// Whether it is a port that this process may have: descriptors that are a channel's, and a channel that
/// trusts no more than the two users may. `own_uid` is this process's, as whoever has told the peer's sees
/// it. Empty: all is well.
[[nodiscard]] std::string inspect(Introduction& introduction, std::uint32_t own_uid);

/// Closes what nobody will take, so that its peer is told.
void turn_away(Introduction& introduction, std::uint32_t own_uid) noexcept;

}  // namespace portolan::names
