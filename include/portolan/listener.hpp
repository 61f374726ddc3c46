// SPDX-License-Identifier: Apache-2.0

// Where strangers get their first port: a listener has an address, and whoever connects to it gets a port
// whose other end comes out here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <portolan/event.hpp>
#include <portolan/event_target.hpp>
#include <portolan/export.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/message_port.hpp>

namespace portolan {

namespace names {
class ListenerState;
}

inline namespace v1 {

/// Who has connected, as the kernel said it at that moment.
struct PeerIdentity : Peer {
  FileDescriptor
      pidfd;  ///< of that process, also if it has ended; before Linux 6.5 only while it is connected
};

/// A port that somebody has connected. Whatever is left in it when the event ends is closed.
class PORTOLAN_API ConnectEvent final : public Event {
 public:
  ConnectEvent(MessagePort port, PeerIdentity peer) noexcept;
  ~ConnectEvent() override;
  ConnectEvent(ConnectEvent&&) noexcept;
  ConnectEvent& operator=(ConnectEvent&&) noexcept;

  /// The other end of what connect() has returned there; what was posted on it meanwhile is in its queue. To
  /// be moved out. Between two users it is a port of a Trust::foreign channel.
  [[nodiscard]] MessagePort& port() noexcept PORTOLAN_LIFETIMEBOUND { return port_; }
  [[nodiscard]] PeerIdentity& peer() noexcept PORTOLAN_LIFETIMEBOUND { return peer_; }

 private:
  MessagePort port_;
  PeerIdentity peer_;
};

/// The options of a Listener; ListenerOptions are those of an event listener.
struct ListenOptions {
  unsigned permissions = 0600;  ///< of the socket's file, for "unix:PATH": who may write to it may connect
  std::chrono::nanoseconds patience =
      std::chrono::seconds(5);  ///< a connection that says nothing is dropped then, or when so many
                                ///< others that say nothing hold a quarter of RLIMIT_NOFILE
};

/// Listens at an address: "unix:PATH", which is a socket in the file system and needs nothing else, or a name
/// such as "org.example.render", which portoland knows. Move-only; moved from it is closed.
///
/// A path's socket has a lock beside it, PATH.lock: a socket that a killed process has left behind is taken
/// over, one that somebody listens at is not. Both files go when the listener is closed. A name is had by one
/// listener at a time; if portoland is started again, the listener registers again by itself, as soon as its
/// thread waits in accept() or its loop runs, and ports that are open do not notice.
///
/// Threads: one at a time; with on_connect it belongs to the loop's thread. Death: whoever had connected and
/// was not accepted sees its port closed. Fork: in a forked child the listener is closed, and the parent's
/// goes on.
class PORTOLAN_API Listener final : public EventTarget {
 public:
  /// Throws PortError, naming the address, what was tried and the cure: somebody else listens there
  /// (address_in_use), a file is in the way (file_exists), no such directory, no permission, no portoland.
  explicit Listener(std::string_view address, ListenOptions options = {});
  /// The same, with what would be a PortError as a value; the listener is closed then.
  Listener(std::string_view address, ListenOptions options, std::error_code& error);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() override;

  /// Calls `handler`, F(ConnectEvent&), in this thread's loop for everybody who connects, also for those who
  /// have done so before. What can be no port is dropped, and the log says why. While it is open, a listener
  /// with a handler keeps run() from returning.
  template <class F>
  requires EventListener<F>
  void on_connect(F handler) & {
    set_handler("connect", as_callback(std::move(handler)));
    bind();
  }
  void on_connect(std::nullptr_t) & { set_handler("connect", {}); }

  /// The next one who connects; waits for it. Throws PortError if there are no descriptors for it, which
  /// leaves it waiting, and InvalidStateError if the listener is closed.
  [[nodiscard]] ConnectEvent accept();
  /// Empty if nobody came in time.
  [[nodiscard]] std::optional<ConnectEvent> accept_for(std::chrono::nanoseconds patience);
  [[nodiscard]] std::optional<ConnectEvent> try_accept();

  /// For a loop of somebody else's: readable (level-triggered) when try_accept() should be called. The
  /// listener's.
  [[nodiscard]] int native_handle() const;

  /// Nobody can connect any more; who had connected and was not accepted sees its port closed.
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept;
  [[nodiscard]] const std::string& address() const noexcept PORTOLAN_LIFETIMEBOUND;
  /// Of a name: counts its listeners, so that a restarted service is told from the one before it. 0 for a
  /// path.
  [[nodiscard]] std::uint64_t generation() const noexcept;

  /// Whether a listener with a handler keeps run() going. It does, until unref().
  void ref() noexcept;
  void unref() noexcept;

 private:
  void bind();
  [[nodiscard]] names::ListenerState& state(const char* call) const;

  std::shared_ptr<names::ListenerState> state_;  // null: closed
};

}  // namespace v1
}  // namespace portolan
