// SPDX-License-Identifier: Apache-2.0

// What the parts of a broker share: who is connected, what each has, and sending to them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <portolan/broker_limits.hpp>

#include "broker/accounts.hpp"
#include "broker/connection.hpp"
#include "broker/log.hpp"
#include "broker/policy.hpp"
#include "os/epoll.hpp"
#include "port/timers.hpp"
#include "wire/name_packet.hpp"

namespace portolan::broker {

// Tags of the epoll set: what it is in the high byte, which one below.
enum class Tag : std::uint64_t {
  listening = 0,
  timer = 1,
  connection = 2,
  owner = 3,
  service = 4,
  turned_away = 5
};
constexpr std::uint64_t tag_of(Tag what, std::uint64_t id) noexcept {
  return static_cast<std::uint64_t>(what) << 56U | id;
}

class Office {
 public:
  Office(const BrokerLimits& with_limits, Policy with_policy, Log with_log)
      : limits(with_limits), accounts(limits), policy(std::move(with_policy)), log(std::move(with_log)) {}
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;

  [[nodiscard]] Connection* find(std::uint64_t connection);
  /// Queued if it does not take it now. False: it has more unread than it may, and is doomed; or the
  /// descriptors cannot travel.
  bool send(Connection& to, const wire::NamePacket& packet, std::vector<FileDescriptor> descriptors = {},
            const Connection* introduced_by = nullptr);
  void answer(Connection& to, const wire::NamePacket& request, wire::NamePacket reply) {
    reply.number = request.number;
    static_cast<void>(send(to, reply));
  }
  /// One line, what and what to do.
  void refuse(Connection& to, const wire::NamePacket& request, std::errc why, const std::string& text);
  /// What was queued, as far as it goes.
  void flush(Connection& to);
  void try_later(Connection& to);
  /// Waits for what it sends, and for room if it has not taken everything.
  void watch_for_packets(Connection& connection);
  /// Without a word: it has gone itself.
  void forget(Connection& connection) noexcept {
    if (!std::exchange(connection.doomed, true)) doomed.push_back(connection.id);
  }
  /// It is closed once nobody uses it any more in this turn.
  void doom(Connection& connection, const char* event, const std::string& why);

  TimerId after(std::uint64_t duration_ns, Callback<void()> task);
  void cancel(TimerId& timer) noexcept;

  const BrokerLimits limits;
  Accounts accounts;
  Policy policy;
  Log log;
  os::Epoll epoll;
  port::Timers timers;
  std::map<std::uint64_t, Connection> connections;
  std::vector<std::uint64_t> doomed;  // has room for all connections

 private:
  void watch_for_silence(Connection& connection);
  std::error_code transmit(Connection& to, const Outgoing& packet) noexcept;
  void settle(Connection& to, const Outgoing& packet) noexcept;
};

}  // namespace portolan::broker
