// SPDX-License-Identifier: Apache-2.0

#include "broker/custody.hpp"

#include <algorithm>
#include <iterator>

#include <portolan/error.hpp>

#include "os/local_socket.hpp"
#include "os/socket.hpp"
#include "os/user_database.hpp"
#include "port/descriptor_access.hpp"

namespace portolan::broker {

namespace {

constexpr std::uint64_t kSweepNs = 1'000'000'000;
constexpr std::uint64_t kNsPerMs = 1'000'000;

std::string fields_of(const std::pair<std::string, std::string>& key) {
  return "name=" + key.first + " label=\"" + key.second + "\"";
}

}  // namespace

Custody::Custody(Office& office, CustodyStore store) : office_(office), store_(std::move(store)) {}

// As a keep of its owner, so that the next broker reads it as one.
wire::NamePacket Custody::record_of(const Key& key, const Kept& kept) const {
  wire::NamePacket record;
  record.kind = wire::NameKind::keep;
  record.name = key.first;
  record.text = key.second;
  record.code = kept.handed_on ? 1 : 0;
  record.uid = kept.uid;
  record.pid = owners_.at(kept.owner).process->pid;
  record.duration_ns = kept.duration_ns;
  record.descriptor_count = 2;
  record.port = port::describe(kept.parcel);
  return record;
}

void Custody::restore(std::vector<StoredDescriptor> found) {
  for (CustodyStore::Restored& each : store_.restore(std::move(found))) {
    if (!office_.accounts.charge(each.record.uid, Resource::kept_ports, 1)) {
      store_.remove(each.stored);
      continue;
    }
    const bool lives = static_cast<bool>(each.owner);
    Owner owner{++last_owner_, std::make_shared<Process>(Process{std::move(each.owner), each.record.pid}), 0,
                !lives, 1};
    if (lives)
      static_cast<void>(
          office_.epoll.add(owner.process->pidfd.get(), os::kReadable, tag_of(Tag::owner, owner.id)));
    owners_.emplace(owner.id, owner);
    const Key key{each.record.name, each.record.text};
    // Stored twice, where the broker was killed as it replaced one.
    if (const auto twice = kept_.find(key); twice != kept_.end()) let_go(twice);
    Kept kept{std::move(each.parcel), each.record.uid, owner.id, each.record.duration_ns,
              each.record.code != 0};
    kept.stored = std::move(each.stored);
    const auto place = kept_.insert_or_assign(key, std::move(kept)).first;
    office_.log.say(LogLevel::info, "port_restored",
                    fields_of(key) + " uid=" + std::to_string(place->second.uid));
    if (!lives) orphan(place);
  }
  if (!kept_.empty()) sweep_ = office_.after(kSweepNs, [this] { sweep(); });
}

void Custody::disown() noexcept {
  for (auto& [key, kept] : kept_)
    for (FileDescriptor* const each : {&kept.parcel.segment, &kept.parcel.socket})
      port::DescriptorAccess::set_foreign(*each, false);  // nobody but the parent's thread would close it
  kept_.clear();
  owners_.clear();
}

Custody::Owner& Custody::owner_of(const Connection& connection) {
  for (auto& [id, owner] : owners_)
    if (owner.connection == connection.id) return owner;
  Owner owner{++last_owner_, connection.process, connection.id};
  if (!owner.process->pidfd) owner.process->pidfd = os::peer_pidfd(connection.socket.get());
  if (const auto error =
          office_.epoll.add(owner.process->pidfd.get(), os::kReadable, tag_of(Tag::owner, owner.id)))
    // Two connections of one process share its pidfd: one of them has it in the set already, and tells both.
    if (error != std::errc::file_exists) throw PortError(error, "keep: " + error.message());
  return owners_.emplace(owner.id, owner).first->second;
}

void Custody::release_owner(std::uint64_t owner) noexcept {
  const auto found = owners_.find(owner);
  if (found == owners_.end() || --found->second.ports > 0) return;
  if (!found->second.ended) office_.epoll.remove(found->second.process->pidfd.get());
  owners_.erase(found);
}

Custody::Entry Custody::let_go(Entry kept) noexcept {
  office_.cancel(kept->second.deadline);
  store_.remove(kept->second.stored);
  office_.accounts.refund(kept->second.uid, Resource::kept_ports, 1);
  release_owner(kept->second.owner);
  return kept_.erase(kept);
}

port::Custody Custody::look(Entry entry) noexcept {
  Kept& kept = entry->second;
  const std::uint64_t before = kept.parcel.expected_generation;
  const port::Custody found = kept.handed_on ? port::read_generation_after_successor(kept.parcel)
                                             : port::read_present_generation(kept.parcel);
  // An odd one is looked at again: it stands for a move that may still end as it began.
  if (found != port::Custody::recoverable)
    kept.parcel.expected_generation = before;
  else if (kept.parcel.expected_generation != before) {
    kept.handed_on = false;
    store_.update(kept.stored, record_of(entry->first, kept));
  }
  return found;
}

void Custody::keep(Connection& from, const wire::NamePacket& request,
                   std::vector<FileDescriptor> descriptors) {
  const Key key{request.name, request.text};
  if (!office_.policy.allows(Act::own, from.who, request.name))
    return office_.refuse(from, request, std::errc::permission_denied,
                          "the policy does not let this user have this name; add an `allow own` rule");
  if (!from.process->pidfd) from.process->pidfd = os::peer_pidfd(from.socket.get());
  if (!from.process->pidfd)
    return office_.refuse(from, request, std::errc::not_supported,
                          "the kernel gives no pidfd of this program");
  port::Parcel parcel =
      port::parcel_from(*request.port, std::move(descriptors[0]), std::move(descriptors[1]));
  std::string wrong = port::inspect_parcel(parcel, os::socket_inode(from.socket.get()));
  if (wrong.empty()) wrong = port::read_header(parcel);
  if (wrong.empty() && port::describe(parcel) != *request.port)
    wrong = "its segment is another one than was announced";
  if (wrong.empty() && port::read_present_generation(parcel) != port::Custody::recoverable)
    wrong = "somebody else has it, or it is in transit";
  if (!wrong.empty())
    return office_.refuse(from, request, std::errc::invalid_argument,
                          "what came is no port of this program: " + wrong);
  if (const auto found = kept_.find(key); found != kept_.end()) {
    const Owner& owner = owners_.at(found->second.owner);
    const bool own = owner.process->pid == from.process->pid && !owner.ended;
    if (!own && look(found) != port::Custody::someone_elses)
      return office_.refuse(from, request, std::errc::file_exists,
                            "another port is kept under this label; reclaim it first, or use another label");
    let_go(found);
  }
  if (!office_.accounts.charge(from.who.uid, Resource::kept_ports, 1))
    return office_.refuse(from, request, std::errc::no_buffer_space,
                          "this user has as many ports in custody as portoland keeps; raise --kept-ports");
  Owner& owner = owner_of(from);
  ++owner.ports;
  Kept& kept = kept_[key];
  kept = {std::move(parcel), from.who.uid, owner.id,
          std::min(request.duration_ns, office_.limits.custody_ms * kNsPerMs)};
  kept.stored = store_.put(kept.parcel, record_of(key, kept), owner.process->pidfd.get());
  if (sweep_ == TimerId::none) sweep_ = office_.after(kSweepNs, [this] { sweep(); });
  office_.log.say(LogLevel::debug, "port_kept", from.fields() + " " + fields_of(key));
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  office_.answer(from, request, done);
}

void Custody::drop(Connection& from, const wire::NamePacket& request) {
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  for (auto kept = kept_.begin(); kept != kept_.end();) {
    const bool meant = kept->first.first == request.name && os::same_uid(kept->second.uid, from.who.uid) &&
                       (request.text.empty() || kept->first.second == request.text) &&
                       owners_.at(kept->second.owner).process->pid == from.process->pid;
    if (meant) ++done.code;
    kept = meant ? let_go(kept) : std::next(kept);
  }
  office_.answer(from, request, done);
}

void Custody::forget(const Connection& connection) noexcept {
  for (auto& [id, owner] : owners_)
    if (owner.connection == connection.id) owner.connection = 0;
  std::erase_if(claims_, [&](Claim& claim) {
    if (claim.connection != connection.id) return false;
    office_.cancel(claim.deadline);
    return true;
  });
}

void Custody::owner_ended(std::uint64_t owner) {
  const auto ended = owners_.find(owner);
  if (ended == owners_.end()) return;
  office_.epoll.remove(ended->second.process->pidfd.get());
  const std::shared_ptr<Process> process = ended->second.process;
  for (auto& [id, each] : owners_)
    if (each.process == process) each.ended = true;
  for (auto kept = kept_.begin(); kept != kept_.end();) {
    const auto present = kept++;
    if (owners_.at(present->second.owner).process == process) orphan(present);
  }
  try_claims();
}

void Custody::orphan(Entry kept) {
  if (port::closed_by_owner(kept->second.parcel) || look(kept) == port::Custody::someone_elses) {
    let_go(kept);
    return;
  }
  office_.log.say(LogLevel::info, "owner_died",
                  fields_of(kept->first) + " uid=" + std::to_string(kept->second.uid));
  kept->second.deadline = office_.after(kept->second.duration_ns, [this, key = kept->first] { expire(key); });
}

// Nobody has taken it: its peer is told, unless it has an owner that nobody here knows of, or is on its way
// to one. What was never sent has no descriptors left but these, and its peer sees them close.
void Custody::expire(const Key& key) {
  const auto kept = kept_.find(key);
  if (kept == kept_.end()) return;
  kept->second.deadline = TimerId::none;
  port::Parcel& parcel = kept->second.parcel;
  const auto found = kept->second.handed_on ? port::read_generation_after_successor(parcel)
                                            : port::read_present_generation(parcel);
  if (found == port::Custody::recoverable && port::end_parcel(parcel, CloseReason::owner_gone))
    office_.log.say(LogLevel::warning, "owner_gone", fields_of(key));
  let_go(kept);
}

bool Custody::holds_for(const std::string& name) const noexcept {
  for (auto kept = kept_.lower_bound({name, {}}); kept != kept_.end() && kept->first.first == name; ++kept)
    if (!port::closed_by_owner(kept->second.parcel)) return true;
  return false;
}

// An owner that executes another program stays the same process; its connection ends with the old program.
bool Custody::ready_for(const Connection& successor, const std::string& name) const noexcept {
  for (auto kept = kept_.lower_bound({name, {}}); kept != kept_.end() && kept->first.first == name; ++kept) {
    if (!os::same_uid(kept->second.uid, successor.who.uid)) continue;
    const Owner& owner = owners_.at(kept->second.owner);
    const bool executed = owner.process->pid == successor.process->pid && owner.connection == 0;
    if (!owner.ended && !executed) return false;
  }
  return true;
}

void Custody::reclaim(Connection& from, const wire::NamePacket& request) {
  if (!office_.policy.allows(Act::own, from.who, request.name))
    return office_.refuse(from, request, std::errc::permission_denied,
                          "the policy does not let this user have this name; add an `allow own` rule");
  Claim claim{from.id, request, TimerId::none};
  if (ready_for(from, request.name)) {
    static_cast<void>(hand_over(from, claim));
    return;
  }
  claim.deadline = office_.after(request.duration_ns, [this, id = from.id, number = request.number] {
    std::erase_if(claims_, [&](const Claim& late) {
      if (late.connection != id || late.request.number != number) return false;
      if (Connection* const waits = office_.find(id))
        office_.refuse(*waits, late.request, std::errc::timed_out,
                       "the process that these ports are kept for has not ended; end it first");
      return true;
    });
  });
  claims_.push_back(std::move(claim));
}

void Custody::try_claims() {
  for (std::size_t i = 0; i < claims_.size();) {
    Connection* const successor = office_.find(claims_[i].connection);
    if (successor != nullptr && !ready_for(*successor, claims_[i].request.name)) {
      ++i;
      continue;
    }
    Claim claim = std::move(claims_[i]);
    claims_.erase(claims_.begin() + static_cast<std::ptrdiff_t>(i));
    office_.cancel(claim.deadline);
    if (successor != nullptr) static_cast<void>(hand_over(*successor, claim));
  }
}

// The duplicates stay here, for a successor that dies before it has them.
bool Custody::hand_over(Connection& successor, const Claim& claim) {
  wire::NamePacket done;
  done.kind = wire::NameKind::done;
  const std::string& name = claim.request.name;
  for (auto kept = kept_.lower_bound({name, {}}); kept != kept_.end() && kept->first.first == name;) {
    const auto present = kept++;
    if (!os::same_uid(present->second.uid, successor.who.uid)) continue;
    const port::Custody found = look(present);
    if (port::closed_by_owner(present->second.parcel) || found == port::Custody::someone_elses) {
      let_go(present);
      continue;
    }
    if (found == port::Custody::in_transit) continue;  // it may have arrived somewhere
    wire::NamePacket packet;
    packet.kind = wire::NameKind::kept;
    packet.number = claim.request.number;
    packet.text = present->first.second;
    packet.port = port::describe(present->second.parcel);
    packet.descriptor_count = 2;
    packet.duration_ns = present->second.duration_ns;
    std::vector<FileDescriptor> descriptors;
    Owner* owner = nullptr;
    try {
      descriptors.push_back(present->second.parcel.segment.duplicate());
      descriptors.push_back(present->second.parcel.socket.duplicate());
      owner = &owner_of(successor);
    } catch (const PortError& refusal) {
      office_.refuse(successor, claim.request, std::errc::too_many_files_open, refusal.what());
      return false;
    }
    if (!office_.send(successor, packet, std::move(descriptors))) return false;
    ++owner->ports;
    release_owner(std::exchange(present->second.owner, owner->id));
    office_.cancel(present->second.deadline);
    present->second.handed_on = true;
    store_.change_owner(present->second.stored, record_of(present->first, present->second),
                        owner->process->pidfd.get());
    ++done.code;
  }
  office_.log.say(LogLevel::info, "reclaimed",
                  successor.fields() + " name=" + name + " ports=" + std::to_string(done.code));
  office_.answer(successor, claim.request, done);
  return true;
}

// A port that its owner has moved away would hide its new owner's death: nobody tells, but its generation
// does.
void Custody::sweep() {
  sweep_ = TimerId::none;
  for (auto kept = kept_.begin(); kept != kept_.end();) {
    const auto present = kept++;
    if (port::closed_by_owner(present->second.parcel) || look(present) == port::Custody::someone_elses)
      let_go(present);
  }
  if (!kept_.empty()) sweep_ = office_.after(kSweepNs, [this] { sweep(); });
}

}  // namespace portolan::broker
