// SPDX-License-Identifier: Apache-2.0

// How an endpoint leaves: it is in transit from the mark until somebody adopts it, and its state stays in the
// segment.

#include "os/socket.hpp"
#include "port/endpoint.hpp"

namespace portolan::port {

void Endpoint::begin_move() {
  if (arrivals_.has_put_back())
    throw DataCloneError(
        "transfer: the port has a message that could not be mapped when it was received, or with ports that "
        "were "
        "taken off for a reply behind it; receive it first");
  Status open = Status::open;
  // [E10] acq_rel/relaxed; pairs with [E2]: a close comes before the move, or waits until it has ended.
  if (!standing_.status_.compare_exchange_strong(open, Status::moving, std::memory_order_acq_rel,
                                                 std::memory_order_relaxed))
    throw DataCloneError("transfer(\"" + label() +
                         "\"): the port is detached or closed; use the one that was received");
  // Its own sleepers first: they return "look again" and find it in transit.
  gate_.shut();
  segment_->set_owner(nullptr);
  // Stored while the shared page is still at its address: below, a private copy of it may be put there.
  if (owned()) {
    reader_.pass_all();
    writer_.store_place();
  }
  std::uint64_t expected = generation();
  // [G2] acq_rel/relaxed; pairs with [G1], [G3]: everything this owner wrote comes before the next owner's
  // adoption.
  if (!page_->generation[static_cast<std::size_t>(side_)].value.compare_exchange_strong(
          expected, generation() | 1, std::memory_order_acq_rel, std::memory_order_relaxed)) {
    if (end_move()) close(CloseReason::closed);
    throw DataCloneError(
        "transfer(\"" + label() +
        "\"): the port has been adopted elsewhere and is detached here; use the one that was adopted");
  }
  std::error_code refused;
  // What the user still looks at stays at its address, and the next owner may hand the blocks back.
  reader_.for_each_pinned([&](const ring::Extent& extent) {
    if (!refused) refused = segment_->privatise(extent.begin, extent.bytes);
  });
  if (refused) {
    if (undo_move()) close(CloseReason::closed);
    throw PortError(refused, "transfer(\"" + label() +
                                 "\"): no memory to keep the events that are still in use (" +
                                 refused.message() + "); release them first");
  }
}

bool Endpoint::undo_move() noexcept {
  // First the shared page, then the generation in it.
  segment_->share_again();
  std::uint64_t expected = generation() | 1;
  // [G4] acq_rel/relaxed; pairs with [G3]: fails only if somebody else holds the descriptors and was faster.
  page_->generation[static_cast<std::size_t>(side_)].value.compare_exchange_strong(
      expected, generation(), std::memory_order_acq_rel, std::memory_order_relaxed);
  return end_move();
}

bool Endpoint::end_move() noexcept {
  gate_.reopen();
  segment_->set_owner(this);
  // What kept messages have let go of meanwhile is handed back now.
  if (owned()) segment_->hand_back_kept();
  // [E11] acq_rel; pairs with [E2]: whoever asked for a close meanwhile is answered for.
  return standing_.status_.exchange(Status::open, std::memory_order_acq_rel) == Status::closing;
}

Parcel Endpoint::finish_move() noexcept {
  // [E8] release; pairs with [E1]: detached for good.
  standing_.status_.store(Status::detached, std::memory_order_release);
  Parcel parcel;
  parcel.socket = std::move(socket_);
  parcel.segment = segment_->take_file();
  parcel.channel = segment_->id();
  parcel.side = side_;
  parcel.trust = segment_->trust();
  parcel.expected_generation = generation() | 1;
  parcel.segment_bytes = segment_->bytes();
  parcel.inspected = true;
  return parcel;
}

}  // namespace portolan::port
