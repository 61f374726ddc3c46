// SPDX-License-Identifier: Apache-2.0

// Ports that a program gets from the one that executed it, and leaves to the one that it becomes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {

namespace port {
class Departure;
}

inline namespace v1 {

/// The port named "parent" that this program was started with: the peer of the Worker's port(). Once; a
/// second call throws InvalidStateError, as does the first in a program that was not started with one.
/// DataCloneError if it was announced, but the descriptors are not a port.
///
/// The first call of this or of inherited_ports(), and the first Worker, take the variable PORTOLAN_PORTS out
/// of the environment and mark the descriptors closed on exec. Until then every program that this one
/// executes inherits them, and other threads must leave the environment alone: call it early in main().
[[nodiscard]] PORTOLAN_API MessagePort parent_port();

/// All other ports that this program was started with, by name; none is no error. Once: a second call finds
/// none. DataCloneError if one of them was announced, but its descriptors are not a port: they are left as
/// they are, that one is forgotten, and a further call gives the others.
[[nodiscard]] PORTOLAN_API std::map<std::string, MessagePort> inherited_ports();

/// Ports that stay with this process when it becomes another program, through an exec of the user's own: a
/// live upgrade. Put variable() into the environment and execute; parent_port() and inherited_ports() find
/// them there, with their unread messages.
///
/// Until then their descriptors are inherited by every program that any thread starts: let the exec follow at
/// once.
class PORTOLAN_API Bequest {
 public:
  /// Names have 1 to 64 letters, digits or `._-:/@+`, and at most 1024 ports go. Throws DataCloneError if a
  /// port cannot leave, PortError if a name is none or the kernel refuses; `ports` is then unchanged. On
  /// success it is empty.
  explicit Bequest(std::map<std::string, MessagePort>&& ports);
  Bequest(const Bequest&) = delete;
  Bequest& operator=(const Bequest&) = delete;
  /// As by revoke(), and the ports are closed.
  ~Bequest();

  /// `PORTOLAN_PORTS=...`, for putenv() or the environment of execve().
  [[nodiscard]] const std::string& variable() const noexcept PORTOLAN_LIFETIMEBOUND { return variable_; }

  /// The exec has failed: the ports again, usable as before, and inherited by nobody.
  [[nodiscard]] std::map<std::string, MessagePort> revoke();

 private:
  void take_back() noexcept;

  std::map<std::string, MessagePort> ports_;
  std::unique_ptr<port::Departure> departure_;
  std::string variable_;
};

}  // namespace v1
}  // namespace portolan
