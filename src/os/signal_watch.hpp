// SPDX-License-Identifier: Apache-2.0

// A signal as a descriptor that works whatever other threads block: a handler that signals an event counter.
// The counter of a signal is made once and never closed, as a handler may be running on another thread at any
// time.
#pragma once

#include "os/event_counter.hpp"

namespace portolan::os {

/// While it lives, deliveries of one signal to this process go to it instead of to their former disposition.
/// A forked child gets the former dispositions back.
class SignalWatch {
 public:
  /// Throws PortError (no signal, or one that cannot be caught), InvalidStateError if it is being watched
  /// already.
  explicit SignalWatch(int signal);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

  /// Readable when the signal came.
  [[nodiscard]] int descriptor() const noexcept { return counter_->descriptor(); }

  /// Whether it came since the last call.
  bool drain() noexcept { return counter_->drain(); }

 private:
  int signal_;
  EventCounter* counter_;
};

}  // namespace portolan::os
