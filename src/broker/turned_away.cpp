// SPDX-License-Identifier: Apache-2.0

#include "broker/turned_away.hpp"

#include <utility>

#include "os/descriptor_room.hpp"
#include "os/local_socket.hpp"
#include "os/socket.hpp"

namespace portolan::broker {

void TurnedAway::take(FileDescriptor socket, std::uint32_t uid) {
  os::refuse_descriptors(socket.get(), true);
  wire::NamePacket refusal;
  refusal.kind = wire::NameKind::refused;
  refusal.code = static_cast<std::uint32_t>(std::errc::no_buffer_space);
  refusal.text = "this user has as many connections as portoland gives; raise --connections";
  static_cast<void>(os::send_packet(socket.get(), wire::encode(refusal), {}));
  if (os::require_descriptor_room(kSpareDescriptors)) return;
  if (!office_.accounts.charge(uid, Resource::turned_away, 1)) return;
  const std::uint64_t id = ++last_;
  Kept& kept = kept_[id];
  kept = {std::move(socket), uid, office_.after(kKeptNs, [this, id] { let_go(id); })};
  // What it sends wakes nobody; that it has hung up is always told.
  if (office_.epoll.add(kept.socket.get(), os::kEdgeTriggered, tag_of(Tag::turned_away, id))) let_go(id);
}

void TurnedAway::let_go(std::uint64_t id) noexcept {
  if (const auto each = kept_.find(id); each != kept_.end()) let_go(each);
}

void TurnedAway::let_go(Place each) noexcept {
  office_.cancel(each->second.second);
  office_.accounts.refund(each->second.uid, Resource::turned_away, 1);
  office_.epoll.remove(each->second.socket.get());
  kept_.erase(each);
}

bool TurnedAway::clear() noexcept {
  if (kept_.empty()) return false;
  while (!kept_.empty()) let_go(kept_.begin());
  return true;
}

}  // namespace portolan::broker
