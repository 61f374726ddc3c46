// SPDX-License-Identifier: Apache-2.0

// Another program as a worker of this one: a process that is started with a port to us, and ends with its
// owner.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <portolan/callback.hpp>
#include <portolan/exit_status.hpp>
#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {

namespace port {
class WorkerState;
}

inline namespace v1 {

/// What is in braces is copied, and ports are not copied; so they are put in by name:
///     WorkerOptions options;
///     options.ports["log"] = std::move(channel.port2);
///     Worker worker("collector", {}, std::move(options));
struct WorkerOptions {
  std::map<std::string, std::string> environment =
      {};                      ///< added to this process's own, or in place of what is there
  std::string directory = {};  ///< empty: this process's. A relative program is found from there
  std::map<std::string, MessagePort> ports =
      {};  ///< given to the worker, see inherited_ports(); names as there
  std::chrono::nanoseconds grace =
      std::chrono::seconds(2);  ///< from ~Worker's close of the port to its SIGKILL
};

/// A started program, whose parent_port() is the peer of port(). Move-only; default-constructed or moved from
/// it is empty, and everything but moving, pid() and destroying throws InvalidStateError.
///
/// Threads: one at a time, as with a port; on_exit and the loop's part belong to the thread that started it,
/// and so does port() once it has a listener. Until its process has ended, a Worker keeps run() of that
/// thread's loop from returning, unless it is unref'd, detached or destroyed. Death: the worker's process may
/// end in any way: what it has posted is still received, then port() is closed, and on_exit is told; in which
/// order these two come is open. If this process dies, parent_port() there is closed. Fork: in a forked child
/// a Worker is as if empty, and its destructor harms nobody.
class PORTOLAN_API Worker {
 public:
  Worker() noexcept;

  /// Starts `program`, looked up in $PATH if it has no slash, with `arguments` behind its own name. It
  /// inherits the standard streams, what the user has made inheritable, the ports, and nothing else of the
  /// library's. Throws PortError, naming the program, if it cannot be started or a name cannot stand for a
  /// port, and DataCloneError if one of the ports cannot leave: then there is no process, and `options` and
  /// the ports in it are unchanged. Once it is started the ports are gone from `options`.
  explicit Worker(std::string program, std::vector<std::string> arguments = {}, WorkerOptions&& options = {});
  /// The same, with a refusing kernel as a value; then the Worker is empty.
  Worker(std::string program, std::vector<std::string> arguments, WorkerOptions&& options,
         std::error_code& error);

  Worker(Worker&& other) noexcept;
  Worker& operator=(Worker&& other) noexcept;  // the worker that it was ends first, as by ~Worker

  /// Closes the port, waits `grace` for the process to end by itself, kills it, and reaps it. Blocks for that
  /// long; a worker that ends with its parent_port() costs next to nothing. Does not call on_exit.
  ~Worker();

  /// This end of the channel; it stays at its address when the Worker is moved. May be moved out.
  [[nodiscard]] MessagePort& port() PORTOLAN_LIFETIMEBOUND;

  // ---- forwarded to port(), which says what they do

  template <class T>
  void post_message(T&& value) {
    port().post_message(std::forward<T>(value));
  }
  template <class T>
  void post_message(T&& value, PostOptions options) {
    port().post_message(std::forward<T>(value), std::move(options));
  }
  void post_message(Gather parts, PostOptions options = {}) {
    port().post_message(std::move(parts), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value) {
    return port().try_post_message(std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value, PostOptions options) {
    return port().try_post_message(std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value) {
    return port().post_message_for(patience, std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value,
                                            PostOptions options) {
    return port().post_message_for(patience, std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] Reply request(T&& value, RequestOptions options = {}) {
    return port().request(std::forward<T>(value), std::move(options));
  }
  [[nodiscard]] Received receive() { return port().receive(); }
  [[nodiscard]] Received try_receive() { return port().try_receive(); }
  [[nodiscard]] Received receive_for(std::chrono::nanoseconds patience) {
    return port().receive_for(patience);
  }
  [[nodiscard]] Received receive(std::stop_token stop) { return port().receive(std::move(stop)); }
  [[nodiscard]] std::size_t receive_batch(std::span<Received> batch) { return port().receive_batch(batch); }

  template <class F>
  void on_message(F handler) & {
    port().on_message(std::move(handler));
  }
  template <class T, class F>
  void on_message(F handler) & {
    port().template on_message<T>(std::move(handler));
  }
  template <class F>
  void on_message_error(F handler) & {
    port().on_message_error(std::move(handler));
  }
  template <class F>
  void on_close(F handler) & {
    port().on_close(std::move(handler));
  }

  // ---- the process

  /// Calls `handler`, F(ExitStatus) or F(), once in this thread's loop when the process has ended, also if it
  /// had before. The last handler set is the one called; it may destroy the Worker. What it throws is treated
  /// as what a listener throws. On the thread that started the worker, else InvalidStateError. Throws
  /// PortError if the loop has no descriptors to wait with.
  template <class F>
  requires(std::invocable<F&, ExitStatus> || std::invocable<F&>) void on_exit(F handler) & {
    if constexpr (std::invocable<F&, ExitStatus>)
      set_exit_handler(std::move(handler));
    else
      set_exit_handler([f = std::move(handler)](ExitStatus) mutable { f(); });
  }

  /// The process's number, also after its end, when it may name another process; -1 if empty.
  [[nodiscard]] int pid() const noexcept;

  /// Waits for the process to end and reaps it. Does not close the port: a worker that goes on until then has
  /// to be told. May be asked again.
  ExitStatus wait();
  /// Empty if it has not ended in time.
  [[nodiscard]] std::optional<ExitStatus> wait_for(std::chrono::nanoseconds patience);

  /// Sends SIGTERM, unless the process has ended.
  void terminate();

  /// Lets the process live on: neither run() nor the destructor waits for it, and it is not killed; the
  /// destructor still closes the port. When it has ended it is reaped by the loop of the thread that started
  /// it, or else by the next Worker that this process starts.
  void detach();

  /// Whether the process and its port keep run() from returning. They do, until unref().
  void ref();
  void unref();

 private:
  void set_exit_handler(Callback<void(ExitStatus)> handler);
  port::WorkerState& state() const;

  std::unique_ptr<port::WorkerState> state_;
};

}  // namespace v1
}  // namespace portolan
