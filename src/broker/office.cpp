// SPDX-License-Identifier: Apache-2.0

#include "broker/office.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "os/pause.hpp"
#include "os/socket.hpp"

namespace portolan::broker {

namespace {

constexpr std::uint64_t kRetryNs = 20'000'000;

}  // namespace

Connection* Office::find(std::uint64_t connection) {
  const auto found = connections.find(connection);
  return found == connections.end() || found->second.doomed ? nullptr : &found->second;
}

std::error_code Office::transmit(Connection& to, const Outgoing& packet) noexcept {
  std::vector<int> numbers;
  for (const FileDescriptor& each : packet.descriptors) numbers.push_back(each.get());
  return os::send_packet(to.socket.get(), packet.bytes, numbers);
}

bool Office::send(Connection& to, const wire::NamePacket& packet, std::vector<FileDescriptor> descriptors,
                  const Connection* introduced_by) {
  if (to.doomed) return false;
  Outgoing out{wire::encode(packet), std::move(descriptors), 0, introduced_by != nullptr};
  if (introduced_by != nullptr) out.introduced_by = introduced_by->who.uid;
  bool crowded = false;
  if (to.outgoing.empty()) {
    const std::error_code error = transmit(to, out);
    if (!error) return true;
    crowded = error.value() == ETOOMANYREFS;
    if (!crowded && error != std::errc::resource_unavailable_try_again) {
      // Nobody there is told of by the hang-up; descriptors that cannot travel are the caller's to answer
      // for.
      if (out.descriptors.empty()) doom(to, "connection_lost", error.message());
      return false;
    }
  }
  if (!accounts.charge(to.who.uid, Resource::queued_bytes, out.bytes.size())) {
    doom(to, "does_not_read", "more than it may is unread");
    return false;
  }
  if (out.introduction && !accounts.charge(out.introduced_by, Resource::introductions, 1)) {
    accounts.refund(to.who.uid, Resource::queued_bytes, out.bytes.size());
    return false;
  }
  to.queued_bytes += out.bytes.size();
  to.outgoing.push_back(std::move(out));
  if (to.outgoing.size() == 1) {
    if (crowded) try_later(to);
    watch_for_packets(to);
    watch_for_silence(to);
  }
  return true;
}

void Office::settle(Connection& to, const Outgoing& packet) noexcept {
  accounts.refund(to.who.uid, Resource::queued_bytes, packet.bytes.size());
  to.queued_bytes -= packet.bytes.size();
  if (packet.introduction) accounts.refund(packet.introduced_by, Resource::introductions, 1);
}

void Office::flush(Connection& to) {
  if (to.outgoing.empty()) return;
  bool some = false;
  while (!to.outgoing.empty()) {
    const std::error_code error = transmit(to, to.outgoing.front());
    if (error == std::errc::resource_unavailable_try_again) break;
    if (error.value() == ETOOMANYREFS) {
      try_later(to);
      some = true;  // it does read: the kernel has looked for room before
      break;
    }
    settle(to, to.outgoing.front());
    to.outgoing.pop_front();
    some = true;
  }
  if (to.outgoing.empty()) {
    cancel(to.silence);
    watch_for_packets(to);
  } else if (some) {
    watch_for_silence(to);
  }
}

// Too many descriptors of this user are under way, and nobody tells when another socket has been read.
void Office::try_later(Connection& to) {
  cancel(to.retry);
  to.retry = after(kRetryNs, [this, id = to.id] {
    Connection* const again = find(id);
    if (again == nullptr) return;
    again->retry = TimerId::none;
    flush(*again);
    watch_for_packets(*again);
  });
}

void Office::watch_for_packets(Connection& connection) {
  // A socket that has room tells so without end while the kernel refuses the descriptors.
  const bool wants_room = !connection.outgoing.empty() && connection.retry == TimerId::none;
  const std::uint32_t events = os::kReadable | os::kOneShot | (wants_room ? os::kWritable : 0U);
  static_cast<void>(epoll.modify(connection.socket.get(), events, tag_of(Tag::connection, connection.id)));
}

void Office::watch_for_silence(Connection& connection) {
  cancel(connection.silence);
  connection.silence = after(limits.silence_ms * 1'000'000, [this, id = connection.id] {
    if (Connection* const late = find(id)) doom(*late, "does_not_read", "it has not read for too long");
  });
}

void Office::refuse(Connection& to, const wire::NamePacket& request, std::errc why, const std::string& text) {
  wire::NamePacket reply;
  reply.kind = wire::NameKind::refused;
  reply.code = static_cast<std::uint32_t>(why);
  reply.text = text;
  answer(to, request, std::move(reply));
}

void Office::doom(Connection& connection, const char* event, const std::string& why) {
  if (connection.doomed) return;
  forget(connection);
  log.say(LogLevel::warning, event, connection.fields() + " why=\"" + why + "\"");
}

TimerId Office::after(std::uint64_t duration_ns, Callback<void()> task) {
  constexpr std::uint64_t kLongestNs = std::uint64_t{24} * 3'600 * 1'000'000'000;
  return timers.set(os::monotonic_ns() + static_cast<std::int64_t>(std::min(duration_ns, kLongestNs)), 0,
                    std::move(task));
}

void Office::cancel(TimerId& timer) noexcept {
  if (timer != TimerId::none) timers.clear(std::exchange(timer, TimerId::none));
}

}  // namespace portolan::broker
