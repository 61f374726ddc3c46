// SPDX-License-Identifier: Apache-2.0

// The library's way into a MessagePort.
#pragma once

#include <memory>
#include <utility>

#include <portolan/message_port.hpp>

namespace portolan::port {

struct PortAccess {
  static const std::shared_ptr<PortState>& state(const MessagePort& port) noexcept { return port.state_; }
  static std::shared_ptr<PortState> take(MessagePort& port) noexcept { return port.detach(); }
  static void put(MessagePort& port, std::shared_ptr<PortState> state) noexcept {
    port.attach_to(std::move(state));
  }
  static MessagePort make(std::shared_ptr<PortState> state) noexcept {
    MessagePort port;
    port.attach_to(std::move(state));
    return port;
  }
};

}  // namespace portolan::port
