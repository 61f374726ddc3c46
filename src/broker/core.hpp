// SPDX-License-Identifier: Apache-2.0

// A broker: its socket, its turn, and who does what with a packet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <portolan/broker.hpp>

#include "broker/custody.hpp"
#include "broker/names.hpp"
#include "broker/office.hpp"
#include "broker/pace.hpp"
#include "broker/services.hpp"
#include "broker/turned_away.hpp"
#include "os/deadline_timer.hpp"
#include "os/local_socket.hpp"
#include "port/fork_guard.hpp"

namespace portolan::broker {

class Core final : public port::ForkGuarded {
 public:
  explicit Core(BrokerOptions options);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void dispatch();
  void wait() noexcept;
  [[nodiscard]] int descriptor() const noexcept { return office_.epoll.descriptor(); }
  void reload();
  [[nodiscard]] Broker::Counts counts() const noexcept;

 private:
  void listen(BrokerOptions& options);
  void handle(const os::ReadyTag& ready);
  void accept_some();
  void accept_one(FileDescriptor socket);
  bool serve_round();
  bool read_packet(Connection& from);
  void obey(Connection& from, const wire::NamePacket& packet, std::vector<FileDescriptor> descriptors);
  void greet(Connection& from, const wire::NamePacket& hello);
  void run_timers();
  void set_timer() noexcept;
  void bury_doomed() noexcept;
  void become_inert() noexcept override;

  std::string policy_file_;
  std::uint32_t own_uid_;
  Office office_;
  Names names_;
  Custody custody_;
  Services services_;
  TurnedAway turned_away_;
  os::DeadlineTimer timer_;
  os::FileLock lock_;
  FileDescriptor listening_;
  std::string path_;
  std::uint64_t inode_ = 0;  // of the socket's file, if it is ours to remove
  std::uint64_t last_connection_ = 0;
  bool paused_ = false;
  Pace pace_;
  std::vector<std::uint64_t> round_;  // connections whose turn it is
};

}  // namespace portolan::broker
