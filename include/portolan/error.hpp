// SPDX-License-Identifier: Apache-2.0

// What the library throws. Four classes, all of them std::runtime_error: three for mistakes of the caller,
// one for a kernel that refuses. Ordinary outcomes (full, closed, timed out, empty) are values, and what a
// peer does wrong is never thrown: it closes the channel. A message names the call, its object, what is wrong
// and the cure:
//   connect("org.example.render"): no portoland at $XDG_RUNTIME_DIR/portolan.sock; start it or use unix:PATH
#pragma once

#include <stdexcept>
#include <string>
#include <system_error>

#include <portolan/export.hpp>

namespace portolan {
inline namespace v1 {

/// A message that cannot be written: a value that cannot be serialised, a transfer list with a duplicate,
/// with a detached or closed port or with the posting port itself, an end whose Trust forbids the way it
/// should go, or a `serialize` that uses the port it is being posted on. Thrown before anything was sent: the
/// message, every port and every descriptor are still the caller's, unchanged.
class PORTOLAN_API DataCloneError : public std::runtime_error {
 public:
  explicit DataCloneError(const std::string& message);
  ~DataCloneError() override;

  /// The legacy code that the Web gives to this error, DOMException.DATA_CLONE_ERR.
  [[nodiscard]] static constexpr int code() noexcept { return 25; }
};

/// The peer has not read enough yet: the channel's limit of unread bytes, or the room for unread messages
/// with ports, is used up. Thrown by post_message before anything was sent; the message and its ports are
/// still the caller's. try_post_message and post_message_for report the same as a value instead.
class PORTOLAN_API QueueFullError : public std::runtime_error {
 public:
  explicit QueueFullError(const std::string& message);
  ~QueueFullError() override;
};

/// A call that the object's state forbids: a second open reservation, the parent's port in a forked child, a
/// released or moved-away object where a
/// live one is needed, a loop run from another thread, an endpoint that somebody else has adopted. Nothing
/// was changed.
class PORTOLAN_API InvalidStateError : public std::runtime_error {
 public:
  explicit InvalidStateError(const std::string& message);
  ~InvalidStateError() override;
};

/// The kernel refused (descriptors, memory, address space, permissions), or something outside this process
/// that the call needs is not there. code() is the error, what() is exactly the message given. Unless the
/// throwing function says otherwise, nothing was changed and the call may be repeated when the cause is gone.
class PORTOLAN_API PortError : public std::system_error {
 public:
  PortError(std::error_code code, const std::string& message);
  ~PortError() override;

  [[nodiscard]] const char* what() const noexcept override;

 private:
  std::runtime_error
      message_;  // std::system_error would append the error's own text; copies of this do not throw
};

}  // namespace v1
}  // namespace portolan
