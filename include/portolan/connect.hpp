// SPDX-License-Identifier: Apache-2.0

// A port to whoever listens at an address.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {

namespace names {
class Attempt;
}

inline namespace v1 {

struct ConnectOptions {
  std::chrono::nanoseconds deadline =
      std::chrono::seconds(30);        ///< from now; how long to wait for the address
  std::size_t limit_bytes = 64 << 20;  ///< as in ChannelOptions
  std::string label = {};              ///< as in ChannelOptions; empty: the address
};

/// A port whose other end the Listener at `address` receives: "unix:PATH" or a name. Waits, to the deadline,
/// for an address that nobody listens at yet, and not for the listener to accept: what is posted meanwhile
/// waits for it. If the listener is closed first, the port is. Between two users the channel has
/// Trust::foreign, else Trust::same_user.
///
/// From any thread. Throws PortError, naming the address, what was tried and the cure: timed_out, no
/// permission, no portoland, a name that may not be connected to, a kernel that refuses.
[[nodiscard]] PORTOLAN_API MessagePort connect(std::string_view address,
                                               std::chrono::nanoseconds deadline = std::chrono::seconds(30));
[[nodiscard]] PORTOLAN_API MessagePort connect(std::string_view address, ConnectOptions options);
/// The same, with what would be a PortError as a value, and then a detached port.
[[nodiscard]] PORTOLAN_API MessagePort connect(std::string_view address, std::chrono::nanoseconds deadline,
                                               std::error_code& error);
[[nodiscard]] PORTOLAN_API MessagePort connect(std::string_view address, std::error_code& error);

/// A connect() for a loop of somebody else's, that blocks nobody. Move-only; destroying it gives up.
class PORTOLAN_API ConnectAttempt {
 public:
  /// Throws PortError for an address that is none, or without descriptors.
  explicit ConnectAttempt(std::string_view address, ConnectOptions options = {});
  ConnectAttempt(ConnectAttempt&& other) noexcept;
  ConnectAttempt& operator=(ConnectAttempt&& other) noexcept;
  ~ConnectAttempt();

  /// Readable (level-triggered) when poll() should be called; the attempt's.
  [[nodiscard]] int native_handle() const noexcept;
  /// The port, once it is there. Throws what connect() throws; there is nothing to poll for after either.
  [[nodiscard]] std::optional<MessagePort> poll();

 private:
  std::unique_ptr<names::Attempt> attempt_;
};

}  // namespace v1
}  // namespace portolan
