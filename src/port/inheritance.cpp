// SPDX-License-Identifier: Apache-2.0

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/inheritance.hpp>

#include "os/process.hpp"
#include "port/departure.hpp"
#include "port/fork_guard.hpp"
#include "port/inheritance_variable.hpp"
#include "port/parcel.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"
#include "wire/endpoint_text.hpp"

namespace portolan::port {

namespace {

struct Heir {
  MessagePort port;
  std::string wrong;  // why it is none
};

struct Inheritance {
  std::mutex mutex;
  bool claimed = false;
  bool unreadable = false;  // there was a variable that nobody can read
  bool parent_taken = false;
  std::map<std::string, Heir> heirs;
};

// Never destroyed: ports that nobody asked for are closed by the end of the process.
Inheritance& inheritance() {
  static Inheritance& all = *new Inheritance;
  return all;
}

Heir open(const wire::EndpointText& text) {
  Parcel parcel;
  parcel.segment.reset(text.segment);
  parcel.socket.reset(text.socket);
  parcel.side = static_cast<ring::Side>(text.side);
  parcel.expected_generation = text.expected_generation;
  Heir heir;
  heir.wrong = read_header(parcel);
  if (heir.wrong.empty()) heir.wrong = inspect_parcel(parcel, 0);
  if (heir.wrong.empty() && describe(parcel).channel != text.channel)
    heir.wrong = "its segment is another channel's";
  if (heir.wrong.empty()) {
    for (const int number : {text.segment, text.socket})
      if (const auto error = os::set_inheritable(number, false)) heir.wrong = error.message();
  }
  if (heir.wrong.empty()) {
    PortAccess::put(heir.port, std::make_shared<PortState>(std::move(parcel)));
  } else {
    // The numbers are somebody else's: an executed program between us and whoever wrote the text had its own
    // use for them.
    static_cast<void>(parcel.segment.release());
    static_cast<void>(parcel.socket.release());
  }
  return heir;
}

void claim(Inheritance& all) {
  if (std::exchange(all.claimed, true)) return;
  const std::optional<std::string> text = os::take_from_environment(kInheritanceVariable);
  if (!text) return;
  const auto endpoints = wire::parse_endpoints(*text);
  all.unreadable = !endpoints;
  if (!endpoints) return;
  // Until they are ports, which a fork knows of.
  const NoForks no_forks;
  for (const wire::EndpointText& each : *endpoints) all.heirs.emplace(each.name, open(each));
}

[[noreturn]] void reject(const std::string& what, const std::string& wrong) {
  throw DataCloneError(
      what + " was announced in the environment, but is no port: " + wrong +
      "; let every program in between pass on its descriptors together with its environment");
}

void require_readable(const Inheritance& all, const std::string& call) {
  if (all.unreadable)
    reject(call + ": what", "PORTOLAN_PORTS is nothing that this version of the library writes");
}

}  // namespace

void claim_inheritance() {
  Inheritance& all = inheritance();
  const std::lock_guard lock(all.mutex);
  claim(all);
}

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

MessagePort parent_port() {
  port::Inheritance& all = port::inheritance();
  const std::lock_guard lock(all.mutex);
  port::claim(all);
  port::require_readable(all, "parent_port()");
  if (all.parent_taken)
    throw InvalidStateError("parent_port(): it was taken before; keep the port of the first call");
  const auto found = all.heirs.find(port::kParentName);
  if (found == all.heirs.end()) {
    throw InvalidStateError(
        "parent_port(): this program was not started by a portolan::Worker, since no PORTOLAN_PORTS in its "
        "environment "
        "names a parent; start it with one");
  }
  if (!found->second.wrong.empty()) port::reject("parent_port(): it", found->second.wrong);
  all.parent_taken = true;
  return std::move(all.heirs.extract(found).mapped().port);
}

std::map<std::string, MessagePort> inherited_ports() {
  port::Inheritance& all = port::inheritance();
  const std::lock_guard lock(all.mutex);
  port::claim(all);
  port::require_readable(all, "inherited_ports()");
  std::map<std::string, MessagePort> ports;
  for (const auto& [name, heir] : all.heirs) {
    if (name == port::kParentName || heir.wrong.empty()) continue;
    const std::string what = "inherited_ports(): \"" + name + '"', wrong = heir.wrong;
    all.heirs.erase(name);
    port::reject(what, wrong);
  }
  for (auto heir = all.heirs.begin(); heir != all.heirs.end();) {
    const auto each = heir++;
    if (each->first != port::kParentName) {
      ports.emplace(each->first, std::move(each->second.port));
      all.heirs.erase(each);
    }
  }
  return ports;
}

Bequest::Bequest(std::map<std::string, MessagePort>&& ports)
    : departure_(std::make_unique<port::Departure>("Bequest()")) {
  departure_->add(ports);
  variable_ = departure_->variable();
  for (const os::InheritedDescriptor& each : departure_->inherited()) {
    if (const auto error = os::set_inheritable(each.source, true)) {
      take_back();
      throw PortError(error, "Bequest(): " + error.message());
    }
  }
  ports_ = std::move(ports);
  ports.clear();
}

Bequest::~Bequest() {
  take_back();
}

std::map<std::string, MessagePort> Bequest::revoke() {
  take_back();
  return std::exchange(ports_, {});
}

void Bequest::take_back() noexcept {
  if (!departure_) return;
  for (std::size_t i = 0; i < departure_->size(); ++i)
    for (const int number : departure_->descriptors(i)) static_cast<void>(os::set_inheritable(number, false));
  departure_.reset();
}

}  // namespace v1
}  // namespace portolan
