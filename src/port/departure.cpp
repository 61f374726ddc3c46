// SPDX-License-Identifier: Apache-2.0

#include "port/departure.hpp"

#include <utility>

#include <portolan/error.hpp>

#include "os/socket.hpp"
#include "port/fork_guard.hpp"
#include "port/inheritance_variable.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan::port {

Departure::~Departure() {
  for (const Leaving& each : leaving_) each.state->undo_move();
}

void Departure::add(MessagePort& port, std::string name) {
  const std::shared_ptr<PortState>& state = PortAccess::state(port);
  if (!state) throw DataCloneError(call_ + ": the port is detached; use the one that was received");
  leaving_.reserve(leaving_.size() + 1);
  state->begin_move();
  leaving_.push_back({state, std::move(name)});
}

void Departure::add(std::map<std::string, MessagePort>& ports) {
  for (auto& [name, port] : ports) {
    if (!wire::is_endpoint_name(name)) {
      throw PortError(std::make_error_code(std::errc::invalid_argument),
                      call_ + ": \"" + name + "\" cannot name a port; use 1 to " +
                          std::to_string(wire::kMaxNameBytes) + " letters, digits and ._-:/@+");
    }
    add(port, name);
  }
  if (leaving_.size() > wire::kMaxTextEndpoints) {
    throw PortError(std::make_error_code(std::errc::argument_list_too_long),
                    call_ + ": more ports than an environment takes, which are " +
                        std::to_string(wire::kMaxTextEndpoints) + "; send the others over one of them");
  }
}

wire::Attachment Departure::description(std::size_t index) const noexcept {
  return leaving_[index].state->describe_moving();
}

std::array<int, 2> Departure::descriptors(std::size_t index) const noexcept {
  return leaving_[index].state->descriptors_moving();
}

std::string Departure::variable() const {
  std::vector<wire::EndpointText> endpoints;
  for (std::size_t i = 0; i < leaving_.size(); ++i) {
    const wire::Attachment about = description(i);
    const auto [segment, socket] = descriptors(i);
    endpoints.push_back(
        {segment, socket, about.expected_generation, about.side, about.channel, leaving_[i].name});
  }
  return std::string(kInheritanceVariable) + '=' + wire::format_endpoints(endpoints);
}

std::vector<os::InheritedDescriptor> Departure::inherited() const {
  std::vector<os::InheritedDescriptor> inherited;
  for (std::size_t i = 0; i < leaving_.size(); ++i)
    for (const int number : descriptors(i)) inherited.push_back({number, number});
  return inherited;
}

void Departure::commit() noexcept {
  bool maybe_cycle = false;
  const NoForks no_forks;
  for (const Leaving& each : std::exchange(leaving_, {})) {
    maybe_cycle = each.state->untaken_transfers() || maybe_cycle;
    const Parcel left = each.state->finish_move();
  }
  // As after a message with ports: the last edge of a cycle may have been closed.
  if (maybe_cycle) os::kick_socket_collector();
}

}  // namespace portolan::port
