// SPDX-License-Identifier: Apache-2.0

// A child that owns ports, and a keeper that holds duplicates of them until it is dead.
#pragma once

#include <functional>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"
#include "support/child_process.hpp"

namespace portolan::testing {

[[nodiscard]] PortHandle duplicate(PortHandle& handle);

// The pidfd of a process that has ended and is reaped.
[[nodiscard]] FileDescriptor pidfd_of_the_dead();

class Ward {
 public:
  // Forks a child that calls `begin` and adopts `ports`, of which this process keeps duplicates.
  Ward(
      Ports ports, const std::function<int(Ports&)>& body, const std::function<void()>& begin = [] {});

  [[nodiscard]] ChildProcess& process() { return process_; }
  [[nodiscard]] const FileDescriptor& pidfd() const { return pidfd_; }
  [[nodiscard]] PortHandle& custody(std::size_t index) { return custody_[index]; }
  // The child has ended by itself or was killed.
  [[nodiscard]] MessagePort recover(std::size_t index);

 private:
  std::vector<PortHandle> custody_;
  ChildProcess process_;
  FileDescriptor pidfd_;
};

// Of a child: how much more it may map, and an end of that.
void limit_address_space(std::uint64_t more_bytes);
void lift_address_space_limit();

// How a port ends: the reasons that its close events tell. Everything in it was read.
[[nodiscard]] std::vector<CloseReason> close_reasons(MessagePort& port);

}  // namespace portolan::testing
