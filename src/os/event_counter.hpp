// SPDX-License-Identifier: Apache-2.0

// A descriptor that one thread makes readable for another (eventfd): the nudge of sleepers in this same
// process.
#pragma once

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

class EventCounter {
 public:
  /// Throws PortError.
  EventCounter();

  /// Makes the descriptor readable until it is drained; each signal makes an edge. From any thread and from
  /// signal handlers.
  void signal() noexcept;

  /// Makes it unreadable; tells whether it had been signalled.
  bool drain() noexcept;

  [[nodiscard]] int descriptor() const noexcept { return counter_.get(); }

 private:
  FileDescriptor counter_;
};

}  // namespace portolan::os
