// SPDX-License-Identifier: Apache-2.0

// What portoland is, as an object: names, and custody of ports, for the programs that reach one socket. It
// runs in a test or an application as it does in the daemon, and no message ever passes through it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <portolan/broker_limits.hpp>
#include <portolan/callback.hpp>
#include <portolan/export.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/log.hpp>

namespace portolan {

namespace broker {
class Core;
}

inline namespace v1 {

/// A descriptor that outlives the broker, with whoever has started it.
struct StoredDescriptor {
  std::string name;
  FileDescriptor descriptor;
};
/// Stores a duplicate of a descriptor under a name; of -1: forgets what is stored there.
using DescriptorStore = Callback<void(std::string_view name, int descriptor)>;

struct BrokerOptions {
  std::string socket = {};        ///< path to listen at; empty with `listening`
  FileDescriptor listening = {};  ///< a socket that somebody else (systemd) has bound, in place of a path
  unsigned permissions = 0600;   ///< of the socket's file: who may write to it may speak to the broker at all
  std::string policy_file = {};  ///< who may have which names; empty: own_uid and root may do everything
  std::optional<std::uint32_t> own_uid = {};  ///< empty: this process's user
  std::string service_directory =
      {};  ///< a file NAME.service for each that is started on demand; empty: none
  BrokerLimits limits = {};
  DescriptorStore store = {};                   ///< has what is kept outlive this broker; empty: it does not
  std::vector<StoredDescriptor> restored = {};  ///< what the broker before this one has stored
  Callback<void(LogLevel, std::string_view)> log =
      {};  ///< one line of `event key=value ...` each, never a flood
};

/// Names and custody at one socket. One thread at a time; nothing here waits for a program.
///
/// Death: channels that are open do not notice. Names are registered again by their listeners when there is
/// another broker at the socket. What it kept is kept by the next one if there is a store, else until its
/// owners keep it again.
class PORTOLAN_API Broker {
 public:
  /// Throws PortError: the socket is in use or cannot be made, or a file has a mistake, which is named with
  /// its line.
  explicit Broker(BrokerOptions options);
  Broker(Broker&& other) noexcept;
  Broker& operator=(Broker&& other) noexcept;
  /// Every connection is closed. What was kept stays with the store, for the next broker; without one it is
  /// let go of without a word: its owner goes on, or its peers see the end.
  ~Broker();

  /// Serves until stop is requested.
  void run(const std::stop_token& stop);
  /// For a loop: readable (level-triggered) when dispatch() has something to do.
  [[nodiscard]] int native_handle() const;
  void dispatch();

  /// Reads the policy and the services again. Throws PortError for a mistake in them; then the old ones stay.
  void reload();

  /// For tests and logs.
  struct Counts {
    std::size_t connections = 0;
    std::size_t names = 0;
    std::size_t kept_ports = 0;
    std::size_t waiting = 0;  ///< connects that wait for a name
  };
  [[nodiscard]] Counts counts() const;

 private:
  std::unique_ptr<broker::Core> core_;
};

}  // namespace v1
}  // namespace portolan
