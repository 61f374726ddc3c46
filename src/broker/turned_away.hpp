// SPDX-License-Identifier: Apache-2.0

// Connections of users who have as many as they may. Each is told so and kept for a second: closed at once,
// it would let its program come again at once, in front of everybody who waits to be accepted.
#pragma once

#include <cstdint>
#include <map>

#include <portolan/file_descriptor.hpp>

#include "broker/office.hpp"

namespace portolan::broker {

class TurnedAway {
 public:
  static constexpr std::uint64_t kKeptNs = 1'000'000'000;
  static constexpr std::size_t kSpareDescriptors = 16;  // are left for those who are served

  explicit TurnedAway(Office& office) noexcept : office_(office) {}

  /// Tells the program, as far as its socket has room, and keeps the connection if the user's account allows.
  void take(FileDescriptor socket, std::uint32_t uid);
  /// It has hung up, or its second is over.
  void let_go(std::uint64_t id) noexcept;
  /// Lets all go, for the descriptors. False: there were none.
  bool clear() noexcept;
  /// A forked child's copies: the epoll set is its parent's.
  void disown() noexcept { kept_.clear(); }

 private:
  struct Kept {
    FileDescriptor socket;
    std::uint32_t uid = 0;
    TimerId second = TimerId::none;
  };
  using Place = std::map<std::uint64_t, Kept>::iterator;

  void let_go(Place each) noexcept;

  Office& office_;
  std::map<std::uint64_t, Kept> kept_;
  std::uint64_t last_ = 0;
};

}  // namespace portolan::broker
