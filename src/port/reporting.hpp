// SPDX-License-Identifier: Apache-2.0

// Where the exceptions of listeners and tasks go: to the handler of the thread's loop, else to the end of the
// turn that they happened in, else back to the caller.
#pragma once

#include <exception>
#include <memory>

#include <portolan/callback.hpp>

namespace portolan::port {

/// One loop's exceptions.
class ExceptionReporter {
 public:
  using Handler = Callback<void(std::exception_ptr)>;

  void set_handler(Handler handler);

  /// True if the handler took it, or a turn will throw it. False: the caller's.
  [[nodiscard]] bool report(const std::exception_ptr& exception) noexcept;

  void begin_turn() noexcept { ++turns_; }

  /// The first exception that nobody took, to be thrown, or null. A nested turn leaves it to the outer one.
  [[nodiscard]] std::exception_ptr end_turn() noexcept;

 private:
  std::shared_ptr<Handler> handler_;  // shared with a call of it, which may set another
  std::exception_ptr first_;
  unsigned turns_ = 0;
};

/// Reports to the loop of this thread; false if there is none, or outside of its turns and without a handler.
[[nodiscard]] bool report(const std::exception_ptr& exception) noexcept;

/// A turn that is not the loop's own: a port dispatched by somebody else's loop. In the scope of one,
/// report() is always true. To be made and ended on one thread.
class Turn {
 public:
  Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn();

  /// Ends it, and throws the first exception that no handler took.
  void end();

 private:
  std::shared_ptr<ExceptionReporter> reporter_;  // null once ended
};

}  // namespace portolan::port
