// SPDX-License-Identifier: Apache-2.0

// The word in front of each message, as it stands in the shared memory: docs/ring-protocol.md, "Frames".
// Zero means "nothing yet". Public only because posting and receiving are inlined.
#pragma once

#include <cstddef>
#include <cstdint>

#include <portolan/lane/shared_word.hpp>

namespace portolan {
inline namespace v1 {
namespace lane {

inline constexpr std::uint64_t kHeaderBytes = 8;
inline constexpr std::uint64_t kMostPayloadBytes = 0xffffffff;

enum class Kind : std::uint8_t { nothing = 0, message = 1, jump = 2, mark = 3 };

constexpr std::uint64_t round_up_8(std::uint64_t bytes) noexcept {
  return (bytes + 7) & ~std::uint64_t{7};
}

// A run of blocks. kFirstExtent, of no blocks, stands for the small extent in the control page: so a page of
// zeros is a channel that nobody has used yet.
struct Run {
  std::uint16_t block = 0;
  std::uint16_t count = 0;
  friend bool operator==(const Run&, const Run&) = default;
};
inline constexpr Run kFirstExtent{0, 0};

// bits 0-3 kind | 4-7 format | 8 attachments | 9 large body | 10 request | 11 reply | 12-31 zero |
// 32-63 payload bytes, or the JUMP's run. With a large body the payload ends with its size, so that an
// adopter can count it; that of a reply begins with the number of the message that it answers. The kind is
// never zero, so the low half is the futex word of a reader in light sleep.
class FrameHeader {
 public:
  constexpr FrameHeader() noexcept = default;
  constexpr explicit FrameHeader(std::uint64_t word) noexcept : word_(word) {}

  static constexpr FrameHeader message(std::uint32_t payload_bytes, unsigned format, bool attachments,
                                       bool large_body) noexcept {
    return FrameHeader{static_cast<std::uint64_t>(payload_bytes) << 32 | (large_body ? 0x200u : 0u) |
                       (attachments ? 0x100u : 0u) | (format & 0xfu) << 4 |
                       static_cast<unsigned>(Kind::message)};
  }
  static constexpr FrameHeader jump(Run run) noexcept {
    return FrameHeader{static_cast<std::uint64_t>(run.count) << 48 |
                       static_cast<std::uint64_t>(run.block) << 32 | static_cast<unsigned>(Kind::jump)};
  }
  // Says to which number of transfers the reader may discard orphans; delivers nothing.
  static constexpr FrameHeader mark(std::uint32_t payload_bytes) noexcept {
    return FrameHeader{static_cast<std::uint64_t>(payload_bytes) << 32 | 0x100u |
                       static_cast<unsigned>(Kind::mark)};
  }

  /// The same message as one that wants a reply, and as a reply.
  constexpr FrameHeader as_request() const noexcept { return as(kRequest); }
  constexpr FrameHeader as_reply() const noexcept { return as(kReply); }
  static constexpr std::uint64_t kRequest = 0x400, kReply = 0x800;
  constexpr FrameHeader as(std::uint64_t role) const noexcept { return FrameHeader{word_ | role}; }

  constexpr std::uint64_t word() const noexcept { return word_; }
  constexpr Kind kind() const noexcept { return static_cast<Kind>(word_ & 0xf); }
  constexpr unsigned format() const noexcept { return static_cast<unsigned>(word_ >> 4 & 0xf); }
  constexpr bool attachments() const noexcept { return (word_ & 0x100) != 0; }
  constexpr bool large_body() const noexcept { return (word_ & 0x200) != 0; }
  constexpr bool is_request() const noexcept { return (word_ & kRequest) != 0; }
  constexpr bool is_reply() const noexcept { return (word_ & kReply) != 0; }
  constexpr bool plain_message() const noexcept {
    return (word_ & 0xffffff0f) == static_cast<unsigned>(Kind::message);
  }
  constexpr std::uint32_t payload_bytes() const noexcept { return static_cast<std::uint32_t>(word_ >> 32); }
  constexpr std::uint64_t frame_bytes() const noexcept { return round_up_8(kHeaderBytes + payload_bytes()); }
  constexpr Run run() const noexcept {
    return {static_cast<std::uint16_t>(word_ >> 32), static_cast<std::uint16_t>(word_ >> 48)};
  }
  // Kinds and bits that this version knows; a peer may write anything.
  constexpr bool known() const noexcept {
    return (word_ & 0xfffff000) == 0 && kind() >= Kind::message && kind() <= Kind::mark &&
           (!large_body() || (kind() == Kind::message && payload_bytes() >= 8)) &&
           ((word_ & (kRequest | kReply)) == 0 || known_correlation());
  }

 private:
  constexpr bool known_correlation() const noexcept {
    return kind() == Kind::message && is_request() != is_reply() && (!is_reply() || payload_bytes() >= 8);
  }

  std::uint64_t word_ = 0;
};

using HeaderWord = SharedWordAt<std::uint64_t>;
static_assert(HeaderWord::is_always_lock_free);

inline HeaderWord header_at(std::byte* place) noexcept {
  return HeaderWord{*reinterpret_cast<std::uint64_t*>(place)};
}

}  // namespace lane
}  // namespace v1
}  // namespace portolan
