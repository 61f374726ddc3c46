// SPDX-License-Identifier: Apache-2.0

#include "names/name_reception.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <portolan/error.hpp>

#include "os/pause.hpp"
#include "port/fork_guard.hpp"
#include "port/logging.hpp"

namespace portolan::names {

namespace {

constexpr std::uint64_t kLinkTag = 0;
constexpr std::int64_t kFirstRetryNs = 10'000'000;
constexpr std::int64_t kLongestRetryNs = 500'000'000;

wire::NamePacket enlistment(const std::string& name) {
  wire::NamePacket packet;
  packet.kind = wire::NameKind::enlist;
  packet.name = name;
  return packet;
}

}  // namespace

NameReception::NameReception(const Address& address)
    : call_(address.in("Listener")), name_(address.text), delay_ns_(kFirstRetryNs), refusals_(call_) {
  if (const auto error = link_.open()) throw PortError(error, call_ + ": " + link_.explain(error));
  generation_ = link_.call(call_, enlistment(name_), {}, os::monotonic_ns() + kAnswerNs).generation;
  watch(link_.descriptor(), kLinkTag, call_);
  watch(timer().descriptor(), kTimerTag, call_);
}

std::optional<Introduction> NameReception::next() {
  if (closed_) return std::nullopt;
  const port::NoForks no_forks;
  for (int round = 0; round < kMostRounds; ++round) {
    std::array<os::ReadyTag, 1> ready;
    if (epoll().wait(ready, 0) == 0) return std::nullopt;
    if (ready[0].tag == kTimerTag) {
      find_link();
      continue;
    }
    DaemonLink::Arrived arrived;
    switch (link_.receive(arrived)) {
      case DaemonLink::Got::packet:
        if (auto introduction = hear(std::move(arrived))) return introduction;
        break;
      case DaemonLink::Got::nothing:
        break;
      case DaemonLink::Got::lost:
        lose_link();
        break;
    }
  }
  return std::nullopt;
}

std::optional<Introduction> NameReception::hear(DaemonLink::Arrived arrived) {
  wire::NamePacket& packet = arrived.packet;
  if (packet.kind == wire::NameKind::done && packet.number == enlisting_) {
    generation_ = packet.generation;
    delay_ns_ = kFirstRetryNs;
  } else if (packet.kind == wire::NameKind::refused && (packet.number == enlisting_ || !link_.is_welcome())) {
    // Somebody else has the name now, or may have it, or this user has too many connections; it is asked for
    // again, at leisure.
    refusals_.note([&] { return packet.text; });
    delay_ns_ = kLongestRetryNs;
    lose_link();
  }
  if (packet.kind != wire::NameKind::introduction || packet.name != name_) return std::nullopt;
  Introduction introduction{
      port::parcel_from(*packet.port, std::move(arrived.descriptors[0]), std::move(arrived.descriptors[1])),
      {}};
  introduction.peer.uid = packet.uid;
  introduction.peer.gid = packet.gid;
  introduction.peer.pid = packet.pid;
  if (arrived.descriptors.size() > 2) introduction.peer.pidfd = std::move(arrived.descriptors[2]);
  std::string wrong = inspect(introduction, link_.own_uid());
  if (wrong.empty() && introduction.parcel.trust == Trust::same_user && !link_.is_trusted())
    wrong = "its channel has Trust::same_user, and came through another user's portoland";
  if (wrong.empty()) return introduction;
  refusals_.note([&] {
    return "what uid " + std::to_string(packet.uid) + ", pid " + std::to_string(packet.pid) +
           " brought is no port: " + wrong + "; it was turned away";
  });
  return std::nullopt;
}

void NameReception::lose_link() noexcept {
  if (link_.is_open()) epoll().remove(link_.descriptor());
  link_.close();
  timer().set(os::monotonic_ns() + delay_ns_);
  delay_ns_ = std::min(2 * delay_ns_, kLongestRetryNs);
}

void NameReception::find_link() {
  timer().clear();
  std::error_code error = link_.open();
  wire::NamePacket packet = enlistment(name_);
  if (!error) error = link_.send(packet);
  if (!error) error = epoll().add(link_.descriptor(), os::kReadable, kLinkTag);
  enlisting_ = packet.number;
  if (!error) return;
  refusals_.note([&] { return "it is not registered any more: " + link_.explain(error); });
  link_.close();
  lose_link();
}

void NameReception::close() noexcept {
  if (std::exchange(closed_, true)) return;
  const port::NoForks no_forks;
  try {
    for (DaemonLink::Arrived arrived; link_.is_open() && link_.receive(arrived) == DaemonLink::Got::packet;)
      if (auto introduction = hear(std::move(arrived))) turn_away(*introduction, link_.own_uid());
  } catch (const std::exception&) {
    // No descriptors or memory to say it with: they see the connection end.
  }
  let_go();
  link_.close();
}

void NameReception::disown() noexcept {
  closed_ = true;
  let_go();
  link_.close();
}

}  // namespace portolan::names
