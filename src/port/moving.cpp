// SPDX-License-Identifier: Apache-2.0

// How a port and its endpoint leave: they are in transit from the mark until somebody adopts the endpoint,
// whose state stays in the segment.

#include <utility>

#include "os/socket.hpp"
#include "port/endpoint.hpp"
#include "port/port_state.hpp"

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

bool Endpoint::begin_replacement() {
  Status open = Status::open;
  if (!standing_.status_.compare_exchange_strong(open, Status::moving, std::memory_order_acq_rel,
                                                 std::memory_order_relaxed))  // [E10]
    return false;
  gate_.shut();
  return true;
}

bool Endpoint::end_replacement() noexcept {
  const Status was = standing_.status_.exchange(Status::open, std::memory_order_acq_rel);  // [E11]
  static_cast<void>(begin_close(CloseReason::closed));
  finish_close();
  return was == Status::closing;
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

void PortState::begin_move() {
  check_process("transfer");
  check_loop_thread("transfer");
  if (writing() != Writing::nothing)
    throw DataCloneError("transfer(" + name() +
                         "): a message is being written on this port; commit or destroy its Space first");
  if (gone())
    throw DataCloneError("transfer(" + name() +
                         "): the port is detached or closed; use the one that was received");
  if (!earlier_.empty())
    throw DataCloneError("transfer(" + name() +
                         "): messages that were here before its channel was merged are unread; receive them");
  if (begin_move_of_parcel()) return;
  if (Endpoint* const endpoint = used()) {
    unbind();
    // Events in hand count as read, also those that live on here.
    if (const std::uint64_t bytes = std::exchange(large_in_hand_bytes_, 0); bytes != 0 && endpoint->usable())
      endpoint->reader().count_large_body(bytes);
    try {
      endpoint->begin_move();
    } catch (...) {
      rebind();
      throw;
    }
  }
}

// False: it is none, but an endpoint in use.
bool PortState::begin_move_of_parcel() noexcept {
  const std::lock_guard lock(birth_);
  return endpoint_ == nullptr && (parcel_moving_ = !gone_);
}

void PortState::undo_move() noexcept {
  bool close_wanted = false;
  if (Endpoint* const endpoint = used()) {
    close_wanted = endpoint->undo_move();
    if (!close_wanted) rebind();
  } else {
    const std::lock_guard lock(birth_);
    parcel_moving_ = false;
    close_wanted = std::exchange(close_wanted_, false);
  }
  if (close_wanted) close();
}

Parcel PortState::finish_move() noexcept {
  const std::lock_guard lock(birth_);
  gone_ = moved_ = true;
  if (unshipped_) unshipped_->leave();
  parcel_moving_ = false;
  end_waits(ReplyStatus::detached);
  listeners_.reset();
  if (endpoint_ == nullptr) return std::move(parcel_);
  return endpoint_->finish_move();
}

wire::Attachment PortState::describe_moving() noexcept {
  Endpoint* const endpoint = used();
  if (endpoint == nullptr) return describe(parcel_);
  Parcel parcel;
  parcel.channel = channel_;
  parcel.side = side_;
  parcel.trust = trust_;
  parcel.expected_generation = endpoint->generation() | 1;
  parcel.segment_bytes = endpoint->segment().bytes();
  return describe(parcel);
}

std::array<int, 2> PortState::descriptors_moving() noexcept {
  Endpoint* const endpoint = used();
  if (endpoint == nullptr) return {parcel_.segment.get(), parcel_.socket.get()};
  return {endpoint->segment().file(), endpoint->socket()};
}

os::Credentials PortState::maker() {
  os::Credentials credentials;
  if (const std::error_code refused = os::peer_credentials(descriptors_moving()[1], credentials))
    throw PortError(refused, "peer(" + name() + "): the kernel does not tell (" + refused.message() + ")");
  return credentials;
}

bool PortState::gone_by_moving() noexcept {
  const std::lock_guard lock(birth_);
  return moved_;
}

bool PortState::untaken_transfers() noexcept {
  if (Endpoint* const endpoint = used()) return endpoint->arrivals().untaken();
  return !peer_here_has_sent_none() && untaken_transfers_of(parcel_);
}

// Most new ends leave while the other one is in use on this thread: the segment need not be read for them.
bool PortState::peer_here_has_sent_none() noexcept {
  if (!unshipped_ || !unshipped_->stays_here()) return false;
  const std::shared_ptr<PortState> peer = incoming_unshipped(*unshipped_).poster.lock();
  Endpoint* const endpoint = peer ? peer->used() : nullptr;
  return endpoint != nullptr && peer->channel() == channel_ && !endpoint->has_announced_transfers();
}

}  // namespace portolan::port
