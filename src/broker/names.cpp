// SPDX-License-Identifier: Apache-2.0

#include "broker/names.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <portolan/error.hpp>

#include "os/local_socket.hpp"
#include "os/pause.hpp"
#include "os/user_database.hpp"

namespace portolan::broker {

namespace {

constexpr std::size_t kMostRemembered = 1024;  // names that are gone and were seen by a watch

}  // namespace

// From the clock, so that a broker's generations follow those of the one before it.
Names::Names(Office& office, Wanted wanted, Enlisted enlisted)
    : office_(office),
      wanted_(std::move(wanted)),
      enlisted_(std::move(enlisted)),
      last_generation_(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                      std::chrono::system_clock::now().time_since_epoch())
                                                      .count())) {}

bool Names::has_owner(const std::string& name) const noexcept {
  const auto found = names_.find(name);
  return found != names_.end() && found->second.owner != 0;
}

std::size_t Names::size() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(names_.begin(), names_.end(), [](const auto& each) { return each.second.owner != 0; }));
}

std::size_t Names::waiting() const noexcept {
  std::size_t count = 0;
  for (const auto& [name, those] : waiting_) count += those.size();
  return count;
}

wire::NamePacket Names::about(wire::NameKind kind, const std::string& name, const Name& which) {
  wire::NamePacket packet;
  packet.kind = kind;
  packet.generation = which.generation;
  if (kind == wire::NameKind::news) packet.name = name;
  const auto owner = office_.connections.find(which.owner);
  if (owner == office_.connections.end()) return packet;
  packet.uid = owner->second.who.uid;
  packet.gid = owner->second.gid;
  packet.pid = owner->second.process->pid;
  return packet;
}

void Names::enlist(Connection& from, const wire::NamePacket& request) {
  if (!office_.policy.allows(Act::own, from.who, request.name)) {
    office_.log.say(LogLevel::warning, "own_refused", from.fields() + " name=" + request.name);
    return office_.refuse(from, request, std::errc::permission_denied,
                          "the policy does not let uid " + std::to_string(from.who.uid) +
                              " have this name; add an `allow own` rule to portoland's policy");
  }
  if (const auto found = names_.find(request.name); found != names_.end() && found->second.owner == from.id) {
    return office_.answer(from, request, about(wire::NameKind::done, request.name, found->second));
  } else if (found != names_.end() && found->second.owner != 0) {
    const Connection& owner = office_.connections.at(found->second.owner);
    return office_.refuse(from, request, std::errc::address_in_use,
                          "pid " + std::to_string(owner.process->pid) + " of uid " +
                              std::to_string(owner.who.uid) + " has this name; stop it or use another name");
  }
  if (!office_.accounts.charge(from.who.uid, Resource::names, 1))
    return office_.refuse(from, request, std::errc::no_buffer_space,
                          "this user has as many names as portoland gives; raise --names");
  const bool before = names_.contains(request.name);
  Name& name = names_[request.name];
  name = {from.id, ++last_generation_, os::monotonic_ns()};
  from.names.insert(request.name);
  office_.log.say(LogLevel::info, "name_registered",
                  from.fields() + " name=" + request.name + " generation=" + std::to_string(name.generation));
  office_.answer(from, request, about(wire::NameKind::done, request.name, name));
  tell_watchers(before ? wire::NameNews::replaced : wire::NameNews::appeared, request.name, name);
  wake(request.name, name);
  enlisted_(request.name);
}

void Names::withdraw(Connection& from, const wire::NamePacket& request) {
  const auto found = names_.find(request.name);
  if (found == names_.end() || found->second.owner != from.id)
    return office_.refuse(from, request, std::errc::no_such_file_or_directory,
                          "this program does not have this name");
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  office_.answer(from, request, done);
  from.names.erase(request.name);
  lose(request.name, found->second);
}

void Names::lose(const std::string& name, Name& which) noexcept {
  try {
    const auto owner = office_.connections.find(which.owner);
    if (owner != office_.connections.end()) {
      office_.accounts.refund(owner->second.who.uid, Resource::names, 1);
      office_.log.say(LogLevel::info, "name_gone", owner->second.fields() + " name=" + name);
    }
    tell_watchers(wire::NameNews::gone, name, which);
    which.owner = 0;
    if (!watched(name) || names_.size() > kMostRemembered) names_.erase(std::string(name));
  } catch (const std::bad_alloc&) {
    which.owner = 0;  // nobody could be told
  }
}

void Names::resolve(Connection& from, const wire::NamePacket& request) {
  if (!office_.policy.allows(Act::connect, from.who, request.name)) {
    office_.log.say(LogLevel::warning, "connect_refused", from.fields() + " name=" + request.name);
    return office_.refuse(from, request, std::errc::permission_denied,
                          "the policy does not let uid " + std::to_string(from.who.uid) +
                              " connect to it; add an `allow connect` rule to portoland's policy");
  }
  if (has_owner(request.name))
    return office_.answer(from, request, about(wire::NameKind::found, request.name, names_.at(request.name)));
  if (!office_.accounts.charge(from.who.uid, Resource::waiting, 1))
    return office_.refuse(from, request, std::errc::no_buffer_space,
                          "this user waits for as many names as portoland lets it; raise --waiting");
  const TimerId deadline =
      office_.after(request.duration_ns, [this, name = request.name, id = from.id, number = request.number] {
        if (Connection* const late = office_.find(id)) {
          wire::NamePacket which;
          which.number = number;
          office_.refuse(*late, which, std::errc::timed_out, "nobody has registered it");
        }
        stop_waiting(name, id, number);
      });
  waiting_[request.name].push_back({from.id, request, deadline});
  wanted_(request.name);
}

void Names::stop_waiting(const std::string& name, std::uint64_t connection, std::uint32_t number) {
  const auto those = waiting_.find(name);
  if (those == waiting_.end()) return;
  std::erase_if(those->second, [&](Waiting& each) {
    if (each.connection != connection || each.request.number != number) return false;
    office_.cancel(each.deadline);
    if (const auto who = office_.connections.find(connection); who != office_.connections.end())
      office_.accounts.refund(who->second.who.uid, Resource::waiting, 1);
    return true;
  });
  if (those->second.empty()) waiting_.erase(those);
}

void Names::wake(const std::string& name, const Name& which) {
  const auto those = waiting_.find(name);
  if (those == waiting_.end()) return;
  for (const Waiting& each : std::vector<Waiting>(those->second)) {
    if (Connection* const waits = office_.find(each.connection))
      office_.answer(*waits, each.request, about(wire::NameKind::found, name, which));
    stop_waiting(name, each.connection, each.request.number);
  }
}

void Names::give_up(const std::string& name, const std::string& why) {
  const auto those = waiting_.find(name);
  if (those == waiting_.end()) return;
  for (const Waiting& each : std::vector<Waiting>(those->second)) {
    if (Connection* const waits = office_.find(each.connection))
      office_.refuse(*waits, each.request, std::errc::no_child_process, why);
    stop_waiting(name, each.connection, each.request.number);
  }
}

void Names::introduce(Connection& from, const wire::NamePacket& request,
                      std::vector<FileDescriptor> descriptors) {
  const auto found = names_.find(request.name);
  Connection* const owner = found == names_.end() ? nullptr : office_.find(found->second.owner);
  if (!office_.policy.allows(Act::connect, from.who, request.name))
    return office_.refuse(from, request, std::errc::permission_denied,
                          "the policy does not let this user connect to it");
  if (owner == nullptr || found->second.generation != request.generation)
    return office_.refuse(from, request, std::errc::resource_unavailable_try_again,
                          "its listener has changed; ask for it again");
  if (request.port->trust == wire::TrustLevel::same_user && !os::same_uid(owner->who.uid, from.who.uid))
    return office_.refuse(
        from, request, std::errc::operation_not_permitted,
        "a port with Trust::same_user stays with its user; make a channel with Trust::foreign");
  wire::NamePacket event;
  event.kind = wire::NameKind::introduction;
  event.name = request.name;
  event.port = request.port;
  event.uid = from.who.uid;
  event.gid = from.gid;
  event.pid = from.process->pid;
  try {
    if (FileDescriptor process = os::peer_pidfd(from.socket.get())) descriptors.push_back(std::move(process));
  } catch (const PortError&) {
    // It can do without.
  }
  event.descriptor_count = static_cast<std::uint32_t>(descriptors.size());
  if (!office_.send(*owner, event, std::move(descriptors), &from))
    return office_.refuse(from, request, std::errc::no_buffer_space,
                          "its listener does not take more ports now, or too many wait; try again later");
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  done.generation = request.generation;
  office_.answer(from, request, done);
}

void Names::watch(Connection& from, const wire::NamePacket& request) {
  if (!office_.accounts.charge(from.who.uid, Resource::watches, 1))
    return office_.refuse(from, request, std::errc::no_buffer_space,
                          "this user has as many watches as portoland gives; raise --watches");
  from.watches.push_back(request.name);
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  office_.answer(from, request, done);
  for (const auto& [name, which] : names_) {
    if (which.owner == 0 || !wire::matches(request.name, name) ||
        !office_.policy.allows(Act::connect, from.who, name))
      continue;
    wire::NamePacket news = about(wire::NameKind::news, name, which);
    news.code = static_cast<std::uint32_t>(wire::NameNews::appeared);
    static_cast<void>(office_.send(from, news));
  }
}

void Names::list(Connection& from, const wire::NamePacket& request) {
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  const auto tell = [&](const std::string& name, const Name& which, std::size_t pending) {
    if (!wire::matches(request.name, name) || !office_.policy.allows(Act::connect, from.who, name)) return;
    wire::NamePacket packet = about(wire::NameKind::listed, name, which);
    packet.number = request.number;
    packet.name = name;
    packet.code = static_cast<std::uint32_t>(pending);
    if (which.generation != 0)
      packet.duration_ns = static_cast<std::uint64_t>(os::monotonic_ns() - which.since_ns);
    if (office_.send(from, packet)) ++done.code;
  };
  for (const auto& [name, which] : names_) {
    const auto owner = office_.connections.find(which.owner);
    if (owner == office_.connections.end()) continue;
    const auto& untaken = owner->second.outgoing;
    tell(name, which,
         static_cast<std::size_t>(std::count_if(untaken.begin(), untaken.end(),
                                                [](const Outgoing& each) { return each.introduction; })));
  }
  for (const auto& [name, those] : waiting_) tell(name, {}, those.size());
  office_.answer(from, request, done);
}

bool Names::watched(const std::string& name) const noexcept {
  return std::any_of(office_.connections.begin(), office_.connections.end(), [&](const auto& each) {
    return !each.second.doomed &&
           std::any_of(each.second.watches.begin(), each.second.watches.end(),
                       [&](const std::string& pattern) { return wire::matches(pattern, name); });
  });
}

void Names::tell_watchers(wire::NameNews news, const std::string& name, const Name& which) {
  wire::NamePacket packet = about(wire::NameKind::news, name, which);
  packet.code = static_cast<std::uint32_t>(news);
  for (auto& [id, each] : office_.connections) {
    const bool wants = std::any_of(each.watches.begin(), each.watches.end(),
                                   [&](const std::string& pattern) { return wire::matches(pattern, name); });
    if (wants && office_.policy.allows(Act::connect, each.who, name))
      static_cast<void>(office_.send(each, packet));
  }
}

void Names::forget(Connection& connection) noexcept {
  office_.accounts.refund(connection.who.uid, Resource::watches, connection.watches.size());
  connection.watches.clear();
  for (const std::string& name : std::exchange(connection.names, {}))
    if (const auto found = names_.find(name); found != names_.end()) lose(name, found->second);
  for (auto those = waiting_.begin(); those != waiting_.end();) {
    std::erase_if(those->second, [&](Waiting& each) {
      if (each.connection != connection.id) return false;
      office_.cancel(each.deadline);
      office_.accounts.refund(connection.who.uid, Resource::waiting, 1);
      return true;
    });
    those = those->second.empty() ? waiting_.erase(those) : std::next(those);
  }
}

}  // namespace portolan::broker
