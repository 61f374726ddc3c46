// SPDX-License-Identifier: Apache-2.0

// Ports that leave this process by another way than a message: over a user's socket, into a started program,
// through an exec. Marked in transit together; unless commit() says that they have left, they stay.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <portolan/message_port.hpp>

#include "os/process.hpp"
#include "wire/attachments.hpp"
#include "wire/endpoint_text.hpp"

namespace portolan::port {

class PortState;

class Departure {
 public:
  // `call` stands in front of what is thrown.
  explicit Departure(std::string call) : call_(std::move(call)) {}
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;
  ~Departure();

  // Throws DataCloneError if it cannot leave, PortError if the kernel refuses; what was added before stays
  // added.
  void add(MessagePort& port, std::string name = {});
  // Under these names, which the environment must be able to hold: else PortError.
  void add(std::map<std::string, MessagePort>& ports);

  [[nodiscard]] std::size_t size() const noexcept { return leaving_.size(); }
  [[nodiscard]] wire::Attachment description(std::size_t index) const noexcept;
  [[nodiscard]] std::array<int, 2> descriptors(std::size_t index) const noexcept;  // segment, socket

  // What the program that they go to finds in its environment. They keep their numbers there: numbers that
  // are taken here by what is closed on exec cannot be those of anything that the user lets that program
  // inherit.
  [[nodiscard]] std::string variable() const;
  [[nodiscard]] std::vector<os::InheritedDescriptor> inherited() const;

  // They have left: closes this process's descriptors.
  void commit() noexcept;

 private:
  struct Leaving {
    std::shared_ptr<PortState> state;
    std::string name;
  };

  std::string call_;
  std::vector<Leaving> leaving_;
};

}  // namespace portolan::port
