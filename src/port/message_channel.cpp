// SPDX-License-Identifier: Apache-2.0

#include <memory>
#include <system_error>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/message_channel.hpp>

#include "port/fork_guard.hpp"
#include "port/parcel.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan {
inline namespace v1 {

MessageChannel::MessageChannel(const ChannelOptions& options) {
  const port::NoForks no_forks;
  auto [first, second] =
      port::make_channel({options.limit_bytes, options.label, options.trust, options.prefault});
  const auto a = std::make_shared<port::PortState>(std::move(first));
  const auto b = std::make_shared<port::PortState>(std::move(second));
  port::PortState::make_unshipped(a, b);
  port::PortAccess::put(port1, a);
  port::PortAccess::put(port2, b);
}

MessageChannel::MessageChannel(const ChannelOptions& options, std::error_code& error) {
  error.clear();
  try {
    *this = MessageChannel(options);
  } catch (const PortError& refusal) {
    error = refusal.code();
  }
}

}  // namespace v1
}  // namespace portolan
