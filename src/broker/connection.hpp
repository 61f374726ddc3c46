// SPDX-License-Identifier: Apache-2.0

// A program that is connected to the broker: who it is, and what it has not read yet.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/file_descriptor.hpp>

#include "broker/policy.hpp"

namespace portolan::broker {

/// A process, by its pidfd: a connection and what is kept for it share it.
struct Process {
  FileDescriptor pidfd;  // of an owner of kept ports; others are asked for theirs where it is wanted
  std::uint32_t pid = 0;
};

/// A packet that a program has not taken.
struct Outgoing {
  std::vector<std::byte> bytes;
  std::vector<FileDescriptor> descriptors;
  std::uint32_t introduced_by = 0;  // the uid that is charged for a port in it
  bool introduction = false;
};

struct Connection {
  std::uint64_t id = 0;
  FileDescriptor socket;
  Applicant who;
  std::uint32_t gid = 0;
  std::shared_ptr<Process> process;
  bool greeted = false;
  bool doomed = false;
  bool waits_for_turn = false;  // there is something to read
  std::deque<Outgoing> outgoing;
  std::uint64_t queued_bytes = 0;
  TimerId silence = TimerId::none;  // until it has said hello, and while it does not read
  TimerId retry = TimerId::none;    // while the kernel refuses descriptors
  std::set<std::string> names;
  std::vector<std::string> watches;

  [[nodiscard]] std::string fields() const {
    return "uid=" + std::to_string(who.uid) + " pid=" + std::to_string(process ? process->pid : 0);
  }
};

}  // namespace portolan::broker
