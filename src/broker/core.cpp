// SPDX-License-Identifier: Apache-2.0

#include "broker/core.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <portolan/error.hpp>

#include "os/pause.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"
#include "os/user_database.hpp"
#include "port/descriptor_access.hpp"

namespace portolan::broker {

namespace {

constexpr int kMostAccepted = 4;  // before those who are there have their turn
constexpr int kMostRounds = 64;   // in a turn
constexpr std::uint64_t kPauseNs = 100'000'000;

Policy policy_of(const std::string& file, std::uint32_t own_uid) {
  return file.empty() ? Policy(own_uid) : Policy::read(file, own_uid);
}

}  // namespace

Core::Core(BrokerOptions options)
    : policy_file_(options.policy_file),
      own_uid_(options.own_uid.value_or(os::effective_uid())),
      office_(options.limits, policy_of(policy_file_, own_uid_), Log(std::move(options.log))),
      names_(
          office_, [this](const std::string& name) { services_.want(name); },
          [this](const std::string& name) { services_.registered(name); }),
      custody_(office_, CustodyStore(std::move(options.store))),
      services_(
          office_, names_,
          [this](const std::string& name) { return names_.is_wanted(name) || custody_.holds_for(name); },
          options.service_directory, std::filesystem::absolute(options.socket).string()),
      turned_away_(office_) {
  listen(options);
  for (const auto& [descriptor, tag] :
       {std::pair{listening_.get(), Tag::listening}, {timer_.descriptor(), Tag::timer}})
    if (const auto error = office_.epoll.add(descriptor, os::kReadable, tag_of(tag, 0)))
      throw PortError(error, "Broker(): " + error.message());
  custody_.restore(std::move(options.restored));
  set_timer();
  enrol();
}

void Core::listen(BrokerOptions& options) {
  if (options.listening) {
    if (!os::listens(options.listening.get()))
      throw PortError(std::make_error_code(std::errc::invalid_argument),
                      "Broker(): the socket that was passed in does not listen for packets; say "
                      "ListenSequentialPacket= in the socket unit");
    listening_ = std::move(options.listening);
    return;
  }
  const std::string call = "Broker(\"" + options.socket + "\")";
  path_ = std::filesystem::absolute(options.socket).string();
  if (const auto error = lock_.acquire(path_ + ".lock"))
    throw PortError(
        error == std::errc::resource_unavailable_try_again ? std::make_error_code(std::errc::address_in_use)
                                                           : error,
        call + (error == std::errc::resource_unavailable_try_again
                    ? ": another portoland holds " + path_ + ".lock; stop it or use another --socket"
                    : ": " + path_ + ".lock cannot be made (" + error.message() +
                          "); use a directory that exists and is writable"));
  std::error_code error = os::remove_stale_socket(path_);
  if (error == std::errc::file_exists)
    throw PortError(error, call + ": " + path_ + " is there and no socket; use another --socket");
  if (!error) error = os::listen_at(options.socket, options.permissions, listening_);
  if (error)
    throw PortError(error, call + ": cannot listen there (" + error.message() +
                               "); stop what does, remove the file, or "
                               "use another --socket");
  inode_ = os::file_inode(path_);
}

Core::~Core() {
  withdraw();
  if (inode_ != 0 && os::file_inode(path_) == inode_) os::remove_file(path_);
}

// The parent's broker goes on, and what it holds must not live on here as well.
void Core::become_inert() noexcept {
  inode_ = 0;
  listening_.reset();
  lock_.disown();
  for (auto& [id, connection] : office_.connections)
    for (Outgoing& out : connection.outgoing)
      for (FileDescriptor& each : out.descriptors) port::DescriptorAccess::set_foreign(each, false);
  office_.connections.clear();
  turned_away_.disown();
  custody_.disown();
}

void Core::dispatch() {
  std::array<os::ReadyTag, 256> ready;
  if (!listening_) return;  // a forked child's copy
  const port::NoForks no_forks;
  // Looks for others after each round: somebody with one packet does not wait for a thousand of another user.
  for (int round = 0; round < kMostRounds; ++round) {
    const std::size_t count = office_.epoll.wait(ready, 0);
    for (std::size_t i = 0; i < count; ++i) handle(ready[i]);
    const bool some = serve_round();
    bury_doomed();  // whose name the next round may give to somebody else
    if (!some) break;
  }
  run_timers();
  bury_doomed();
  set_timer();
}

void Core::handle(const os::ReadyTag& ready) {
  const auto what = static_cast<Tag>(ready.tag >> 56U);
  const std::uint64_t id = ready.tag & ((std::uint64_t{1} << 56U) - 1);
  switch (what) {
    case Tag::listening:
      return accept_some();
    case Tag::connection: {
      Connection* const connection = office_.find(id);
      if (connection == nullptr) return;
      if ((ready.events & os::kWritable) != 0) office_.flush(*connection);
      constexpr std::uint32_t kSomething = os::kReadable | os::kHungUp | os::kFailed;
      const bool something = (ready.events & kSomething) != 0;
      if (something && !std::exchange(connection->waits_for_turn, true))
        pace_.come(connection->who.uid, id);
      else if (!connection->waits_for_turn)
        office_.watch_for_packets(*connection);
      return;
    }
    case Tag::owner:
      return custody_.owner_ended(id);
    case Tag::service:
      return services_.ended(id);
    case Tag::turned_away:
      return turned_away_.let_go(id);
    case Tag::timer:
      return;
  }
}

void Core::accept_some() {
  for (int i = 0; i < kMostAccepted; ++i) {
    FileDescriptor socket;
    if (const auto error = os::accept_connection(listening_.get(), socket)) {
      if (error == std::errc::resource_unavailable_try_again) return;
      if (turned_away_.clear()) continue;
      // Without descriptors who connects waits; level-triggered, it would make this spin.
      office_.log.say(LogLevel::error, "cannot_accept", "why=\"" + error.message() + "\"");
      paused_ = true;
      static_cast<void>(office_.epoll.modify(listening_.get(), 0, tag_of(Tag::listening, 0)));
      static_cast<void>(office_.after(kPauseNs, [this] {
        paused_ = false;
        static_cast<void>(office_.epoll.modify(listening_.get(), os::kReadable, tag_of(Tag::listening, 0)));
      }));
      return;
    }
    accept_one(std::move(socket));
  }
}

void Core::accept_one(FileDescriptor socket) {
  os::Credentials found;
  if (os::peer_credentials(socket.get(), found)) return;
  if (!office_.accounts.charge(found.uid, Resource::connections, 1)) {
    office_.log.say(LogLevel::warning, "too_many_connections",
                    "uid=" + std::to_string(found.uid) + " pid=" + std::to_string(found.pid));
    turned_away_.take(std::move(socket), found.uid);
    return;
  }
  os::refuse_descriptors(socket.get(), true);  // until it has said hello
  const std::uint64_t id = ++last_connection_;
  Connection& connection = office_.connections[id];
  if (office_.doomed.capacity() < office_.connections.size())
    office_.doomed.reserve(2 * office_.connections.size());
  connection.id = id;
  connection.who = {found.uid, os::peer_groups(socket.get())};
  connection.who.gids.push_back(found.gid);
  connection.gid = found.gid;
  connection.process = std::make_shared<Process>();
  connection.process->pid = static_cast<std::uint32_t>(found.pid);
  connection.socket = std::move(socket);
  if (office_.epoll.add(connection.socket.get(), os::kReadable | os::kOneShot, tag_of(Tag::connection, id)))
    return office_.doom(connection, "cannot_accept", "no room to wait for it");
  connection.silence = office_.after(office_.limits.silence_ms * 1'000'000, [this, id] {
    if (Connection* const late = office_.find(id))
      office_.doom(*late, "silent", "it has not said hello in time");
  });
}

// One packet of each user who may say something now; false if there was none.
bool Core::serve_round() {
  pace_.take_turns(os::monotonic_ns(), round_);
  for (const std::uint64_t id : round_) {
    Connection* const next = office_.find(id);
    if (next == nullptr) continue;
    next->waits_for_turn = read_packet(*next) && !next->doomed;
    if (next->waits_for_turn)
      pace_.come(next->who.uid, id);
    else if (!next->doomed)
      office_.watch_for_packets(*next);  // tells at once of what has come meanwhile
  }
  return !round_.empty();
}

// False if nothing more is there: the next packet is told of by itself.
bool Core::read_packet(Connection& from) {
  std::array<std::byte, wire::kMaxNamePacketBytes + 1> space;
  std::vector<FileDescriptor> descriptors;
  const os::ReceivedPacket got =
      os::receive_packet(from.socket.get(), space, wire::kMaxNameDescriptors, descriptors);
  for (FileDescriptor& each : descriptors) port::DescriptorAccess::set_foreign(each, true);
  using Kind = os::ReceivedPacket::Kind;
  if (got.kind == Kind::would_block) return false;
  if (got.kind == Kind::reset) return true;
  if (got.kind != Kind::packet) {
    office_.forget(from);  // it has gone, which is nothing to tell
    return false;
  }
  pace_.note(from.who.uid, os::monotonic_ns());
  wire::NamePacket packet;
  std::uint16_t version = 0;
  const auto fault = wire::read_name_packet(std::span(space).first(got.size_bytes), packet, version);
  if (fault == wire::NameFault::other_version) {
    office_.log.say(LogLevel::warning, "version_refused",
                    from.fields() + " version=" + std::to_string(version));
    wire::NamePacket unread;
    office_.refuse(from, unread, std::errc::protocol_not_supported,
                   "this portoland speaks version " + std::to_string(wire::kNameProtocolVersion) +
                       " and the program version " + std::to_string(version) + "; update the older one");
    return false;
  }
  if (fault != wire::NameFault::none)
    office_.doom(from, "protocol_error", "what it sent is no packet");
  else if (got.descriptors_truncated || descriptors.size() != packet.descriptor_count)
    office_.refuse(from, packet, std::errc::too_many_files_open,
                   "portoland has no descriptors to spare for this; try again later");
  else
    obey(from, packet, std::move(descriptors));
  return true;
}

void Core::greet(Connection& from, const wire::NamePacket& hello) {
  if (hello.code > wire::kNameProtocolVersion || hello.generation < wire::kNameProtocolVersion) {
    office_.log.say(LogLevel::warning, "version_refused",
                    from.fields() + " version=" + std::to_string(hello.code));
    return office_.refuse(from, hello, std::errc::protocol_not_supported,
                          "this portoland speaks version " + std::to_string(wire::kNameProtocolVersion) +
                              " and the program versions " + std::to_string(hello.code) + " to " +
                              std::to_string(hello.generation) + "; update the older one");
  }
  from.greeted = true;
  office_.cancel(from.silence);
  os::refuse_descriptors(from.socket.get(), false);
  wire::NamePacket welcome;
  welcome.kind = wire::NameKind::welcome;
  welcome.code = wire::kNameProtocolVersion;
  welcome.pid = os::process_id();
  welcome.uid = from.who.uid;
  welcome.gid = from.gid;
  office_.answer(from, hello, welcome);
}

void Core::obey(Connection& from, const wire::NamePacket& packet, std::vector<FileDescriptor> descriptors) {
  using wire::NameKind;
  if (packet.kind == NameKind::hello && !from.greeted) return greet(from, packet);
  if (!from.greeted) return office_.doom(from, "protocol_error", "it did not say hello first");
  switch (packet.kind) {
    case NameKind::enlist:
      return names_.enlist(from, packet);
    case NameKind::withdraw:
      return names_.withdraw(from, packet);
    case NameKind::resolve:
      return names_.resolve(from, packet);
    case NameKind::introduce:
      return names_.introduce(from, packet, std::move(descriptors));
    case NameKind::watch:
      return names_.watch(from, packet);
    case NameKind::list:
      return names_.list(from, packet);
    case NameKind::keep:
      return custody_.keep(from, packet, std::move(descriptors));
    case NameKind::reclaim:
      return custody_.reclaim(from, packet);
    case NameKind::drop:
      return custody_.drop(from, packet);
    default:
      return office_.doom(from, "protocol_error", "it sent what only a broker sends");
  }
}

void Core::run_timers() {
  const std::uint64_t mark = office_.timers.mark();
  while (auto due = office_.timers.take_due(os::monotonic_ns(), mark)) due->task();
}

void Core::set_timer() noexcept {
  auto next = office_.timers.next_deadline_ns();
  if (const auto turn = pace_.next_turn_ns(os::monotonic_ns())) next = std::min(next.value_or(*turn), *turn);
  if (next)
    timer_.set(*next);
  else
    timer_.clear();
}

void Core::bury_doomed() noexcept {
  // Those who are told that a name has gone may be doomed thereby.
  for (std::size_t i = 0; i < office_.doomed.size(); ++i) {
    const auto each = office_.connections.find(office_.doomed[i]);
    if (each == office_.connections.end()) continue;
    Connection& connection = each->second;
    office_.cancel(connection.silence);
    office_.cancel(connection.retry);
    names_.forget(connection);
    custody_.forget(connection);
    for (const Outgoing& out : connection.outgoing)
      if (out.introduction) office_.accounts.refund(out.introduced_by, Resource::introductions, 1);
    office_.accounts.refund(connection.who.uid, Resource::queued_bytes, connection.queued_bytes);
    office_.accounts.refund(connection.who.uid, Resource::connections, 1);
    office_.epoll.remove(connection.socket.get());
    office_.connections.erase(each);
  }
  office_.doomed.clear();
}

void Core::reload() {
  Policy policy = policy_of(policy_file_, own_uid_);
  services_.read_files();
  office_.policy = std::move(policy);
  office_.log.say(
      LogLevel::info, "reloaded",
      "rules=" + std::to_string(office_.policy.size()) + " services=" + std::to_string(services_.size()));
}

Broker::Counts Core::counts() const noexcept {
  return {office_.connections.size(), names_.size(), custody_.size(), names_.waiting()};
}

}  // namespace portolan::broker
