// SPDX-License-Identifier: Apache-2.0

// Connecting, as far as it has come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#include <portolan/connect.hpp>

#include "names/address.hpp"
#include "names/daemon_link.hpp"
#include "os/deadline_timer.hpp"
#include "os/epoll.hpp"
#include "port/fork_guard.hpp"
#include "port/parcel.hpp"

namespace portolan::names {

class Attempt final : public port::ForkGuarded {
 public:
  /// Throws PortError.
  Attempt(std::string_view address, ConnectOptions options);
  ~Attempt();

  /// The port once it is there; throws PortError when there will be none.
  std::optional<MessagePort> poll();
  /// Waits until poll() has something to do.
  void wait() noexcept;
  [[nodiscard]] int descriptor() const noexcept { return epoll_.descriptor(); }

 private:
  std::optional<MessagePort> try_path();
  // The name: portoland is asked who has it, and then hands a port to whoever that is.
  std::optional<MessagePort> try_daemon();
  std::optional<MessagePort> hear(const wire::NamePacket& packet);
  bool ask();
  void introduce(const wire::NamePacket& owner);
  void lose_link(std::error_code why);
  // Nobody is there yet: later, or the end.
  void come_again(std::error_code why);
  [[nodiscard]] port::ChannelShape shape(Trust trust) const noexcept;
  [[noreturn]] void refuse(std::error_code error, const std::string& text) const;
  [[nodiscard]] std::string waited() const;
  void become_inert() noexcept override;

  const Address address_;
  const ConnectOptions options_;
  const std::int64_t deadline_ns_;
  std::int64_t next_try_ns_ = 0;
  std::int64_t delay_ns_;
  os::Epoll epoll_;
  os::DeadlineTimer timer_;
  DaemonLink link_;
  std::uint32_t resolving_ = 0;  // numbers of the requests under way
  std::uint32_t introducing_ = 0;
  port::Parcel mine_;  // this end of the channel that is being introduced
};

}  // namespace portolan::names
