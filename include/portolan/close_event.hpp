// SPDX-License-Identifier: Apache-2.0

// The end of a channel, as an event: once for each port whose other end is gone, after its last message.
#pragma once

#include <cstdint>
#include <string_view>

#include <portolan/event.hpp>
#include <portolan/export.hpp>

namespace portolan {
inline namespace v1 {

enum class CloseReason : std::uint8_t {
  closed,          // the other end was closed, or destroyed, by its owner
  peer_died,       // its process ended without closing it
  protocol_error,  // the peer wrote what no correct peer writes; the channel was given up
  owner_gone,      // its owner died, and nobody took it over from custody in time
};

/// The enumerator's name, for logs.
[[nodiscard]] PORTOLAN_API std::string_view to_string(CloseReason reason) noexcept;

class PORTOLAN_API CloseEvent final : public Event {
 public:
  explicit CloseEvent(CloseReason reason) noexcept : Event(LibraryMade{"close"}), reason_(reason) {}
  ~CloseEvent() override;
  CloseEvent(CloseEvent&&) noexcept;
  CloseEvent& operator=(CloseEvent&&) noexcept;

  [[nodiscard]] CloseReason reason() const noexcept { return reason_; }

 private:
  CloseReason reason_;
};

}  // namespace v1
}  // namespace portolan
