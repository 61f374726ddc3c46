// SPDX-License-Identifier: Apache-2.0

// The seam between the loop and what it serves: a started port, a listening socket, a child process. A source
// that is awake is polled every turn; one that has announced its sleep is left alone until its descriptor has
// an edge.
#pragma once

#include <cstddef>

namespace portolan::port {

/// All calls come on the loop's thread. A source may detach itself, be moved, or destroy itself and others in
/// serve().
class LoopSource {
 public:
  /// Dispatches up to `most` messages and what else is due; one that was dear ends it. Returns how many. What
  /// listeners throw is reported (see reporting.hpp), so nothing comes out.
  virtual std::size_t serve(std::size_t most) = 0;

  /// Whether serve() would find something; a look that changes nothing.
  [[nodiscard]] virtual bool ready() noexcept = 0;

  /// Watched edge-triggered for reading and hang-up, from attach to detach. Negative: none.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  /// Stores its sleep word (deep: it will be woken through the descriptor), after draining the descriptor of
  /// earlier wakes. False, with the word awake: do not sleep. The loop then does one barrier for all and asks
  /// ready() again.
  virtual bool announce_sleep(bool deep) noexcept = 0;
  virtual void announce_awake() noexcept = 0;

  /// About once a second while it is asleep: what nobody waits for.
  virtual void tidy() noexcept {}

  /// The loop's last word to it.
  virtual void loop_ends() noexcept {}

  /// Whether run() has to go on for this source's sake: open, ref'd and with a listener.
  [[nodiscard]] virtual bool keeps_loop_alive() const noexcept = 0;

 protected:
  ~LoopSource() = default;
};

}  // namespace portolan::port
