// SPDX-License-Identifier: Apache-2.0

// A broker in a process of its own, at $PORTOLAN_SOCKET, that can be killed and started again.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <portolan/broker.hpp>

#include "names/meeting_place.hpp"
#include "support/child_process.hpp"

namespace portolan::testing {

class BrokerProcess {
 public:
  explicit BrokerProcess(BrokerLimits limits = {}, std::string policy = {}, std::string services = {},
                         std::optional<uid_t> run_as = {})
      : limits_(limits), policy_(std::move(policy)), services_(std::move(services)), run_as_(run_as) {
    ::setenv("PORTOLAN_SOCKET", socket().c_str(), 1);
    start();
  }
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;
  ~BrokerProcess() {
    kill();
    ::unsetenv("PORTOLAN_SOCKET");
  }

  // The socket is made here, so that it is there before anybody looks for it, and serves its clients in the
  // child.
  void start() {
    process_.emplace(ChildProcess::fork([this] {
      if (run_as_ && ::setuid(*run_as_) != 0) return 1;
      Broker broker({.socket = socket(),
                     .permissions = 0666,
                     .policy_file = policy_,
                     .service_directory = services_,
                     .limits = limits_});
      broker.run({});
      return 0;
    }));
    while (!std::filesystem::exists(socket()) || !answers())
      if (process_->wait(std::chrono::milliseconds(1)))
        throw std::runtime_error("the broker's process has ended; what it said is on stderr");
  }
  void kill() {
    if (process_) process_->kill_and_reap();
    process_.reset();
  }
  [[nodiscard]] std::string socket() const { return place_.path("portolan.sock"); }
  [[nodiscard]] const MeetingPlace& place() const { return place_; }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

 private:
  [[nodiscard]] static bool answers();

  MeetingPlace place_;
  BrokerLimits limits_;
  std::string policy_;
  std::string services_;
  std::optional<uid_t> run_as_;
  std::optional<ChildProcess> process_;
};

}  // namespace portolan::testing
