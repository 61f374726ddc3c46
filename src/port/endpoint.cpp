// SPDX-License-Identifier: Apache-2.0

#include "port/endpoint.hpp"

#include <utility>

#include "os/futex.hpp"
#include "os/membarrier.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"

namespace portolan::port {

Endpoint::Endpoint(std::shared_ptr<Segment> segment, const Parcel& parcel)
    : segment_(std::move(segment)),
      page_(&segment_->page()),
      side_(parcel.side),
      standing_(*new (standing_slot_.memory())
                    lane::Standing(page_->generation[static_cast<std::size_t>(side_)].value,
                                   next_generation(parcel.expected_generation),
                                   page_->endpoint[static_cast<std::size_t>(ring::other(side_))].closed)),
      out_blocks_(gate_, segment_->blocks(side_)),
      in_blocks_(gate_, segment_->blocks(ring::other(side_))),
      writer_(outgoing(), segment_->geometry(), out_blocks_),
      reader_waker_(outgoing().reader_sleep.word, outgoing().reader_sleep.at),
      reader_(incoming(), segment_->geometry(), in_blocks_),
      reader_sleeper_(incoming().reader_sleep),
      room_sleeper_(outgoing().writer_sleep),
      writer_waker_(incoming().writer_sleep.word, incoming().writer_sleep.at),
      arrivals_(incoming(), segment_->trust() == Trust::foreign),
      names_(outgoing()) {
  enrol();
}

std::unique_ptr<Endpoint> Endpoint::adopt(Parcel& parcel, ring::Adoption how, Adoption& result) {
  const NoForks no_forks;
  SegmentFault fault;
  std::shared_ptr<Segment> segment = Segment::map(parcel, fault);
  // All that can be refused comes before the swap, and leaves the endpoint to whoever tries again.
  if (segment && (fault.refused = segment->map_used_blocks(parcel.side))) {
    parcel.segment = segment->take_file();
    segment.reset();
  }
  if (!segment) {
    result = {fault.refused ? Adopted::refused : Adopted::wrong, std::move(fault.text), fault.refused};
    return nullptr;
  }
  std::unique_ptr<Endpoint> endpoint;
  try {
    endpoint.reset(new Endpoint(segment, parcel));
    endpoint->reader_.prepare();
  } catch (...) {
    parcel.segment = segment->take_file();
    throw;
  }
  ring::ControlPage& page = segment->page();
  const auto side = static_cast<std::size_t>(parcel.side);
  std::uint64_t expected = parcel.expected_generation;
  // [G3] acq_rel/relaxed; pairs with [G2], [G4]: one of two holders wins, and finds what the last owner left
  // behind.
  if (!page.generation[side].value.compare_exchange_strong(
          expected, next_generation(expected), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    parcel.socket.reset();
    result = {Adopted::lost, {}, {}};
    return nullptr;
  }
  endpoint->socket_ = std::move(parcel.socket);
  // [E12] relaxed; pairs with [E1]: nobody else has it yet.
  endpoint->standing_.status_.store(Status::open, std::memory_order_relaxed);
  segment->set_owner(endpoint.get());
  if (!endpoint->load_halves(how)) {
    endpoint->close(CloseReason::protocol_error);
    result = {Adopted::wrong, "its rings contradict themselves", {}};
    return nullptr;
  }
  ring::EndpointLine& line = page.endpoint[side];
  // [E5] relaxed: for tools.
  line.owner_pid.store(os::process_id(), std::memory_order_relaxed);
  // [E6] relaxed; pairs with [E9]: for tools; only the owner counts.
  const std::uint64_t adoptions = line.adoption_count.load(std::memory_order_relaxed);
  line.adoption_count.store(adoptions + 1, std::memory_order_relaxed);  // [E6]
  // [C3] relaxed; pairs with [C1]: the swap of the generation orders it.
  if (const std::uint32_t closed = line.closed.load(std::memory_order_relaxed)) [[unlikely]] {
    // The last owner was killed within its close.
    endpoint->close(close_reason_of(closed));
    return endpoint;
  }
  if (how == ring::Adoption::after_death) endpoint->post_mark();
  // The last owner may have slept.
  endpoint->announce_awake();
  // The last owner may have been killed between publishing and ringing.
  endpoint->wake_reader();
  endpoint->wake_writer();
  return endpoint;
}

bool Endpoint::load_halves(ring::Adoption how) noexcept {
  reader_sleeper_.adopt();
  room_sleeper_.adopt();
  names_.adopt();
  if (!writer_.adopt(how) || !reader_.adopt(how)) return false;
  taken_before_sleep_ = reader_.taken_count();
  return true;
}

Endpoint::~Endpoint() {
  if (status() != Status::inert) segment_->set_owner(nullptr);
  if (status() == Status::open) static_cast<void>(begin_close(CloseReason::closed));
  if (status() == Status::closed) finish_close();
  if (status() == Status::inert) segment_->forget();
  segment_->keep_extents(reader_.surrender_extents());
  withdraw();
}

CloseReason Endpoint::close_reason() const noexcept {
  return close_reason_of(standing_.peer_closed_word());
}

bool Endpoint::begin_close(CloseReason reason) noexcept {
  const std::lock_guard lock(closing_);
  for (Status now = Status::open;;) {
    const Status next = now == Status::open ? Status::closed : Status::closing;
    // [E2] acq_rel/relaxed; pairs with [E1], [E10], [E11]: the first of several closers does it all, or
    // leaves it to the thread that is moving the endpoint.
    if (standing_.status_.compare_exchange_strong(now, next, std::memory_order_acq_rel,
                                                  std::memory_order_relaxed)) {
      if (next == Status::closed) break;
      return false;
    }
    if (now != Status::open && now != Status::moving) return false;
  }
  const bool owner = owned();
  if (owner) {
    // [C1] release; pairs with [C2]: after the last frame.
    page_->endpoint[static_cast<std::size_t>(side_)].closed.store(closed_word(reason),
                                                                  std::memory_order_release);
    // First the shutdown: a thread of ours that sleeps on the socket would keep the peer from seeing a close.
    os::shutdown_both(socket_.get());
  }
  // Not shut yet: what is queued may still be delivered, with its descriptors.
  gate_.nudge_all();
  if (owner) wake_peer_on_futex();
  return true;
}

void Endpoint::finish_close() noexcept {
  const std::lock_guard lock(closing_);
  if (std::exchange(finished_, true)) return;
  gate_.shut();
  const NoForks no_forks;
  arrivals_.discard_put_back();
  // Nobody can send to us any more, and ports that others hold duplicates of would stay open in the queue.
  if (socket_ && owned()) os::discard_packets(socket_.get());
  socket_.reset();
  static_cast<void>(segment_->take_file());
}

void Endpoint::wake_peer_on_futex() noexcept {
  // [C4] seq_cst fence; pairs with [S9], [S10], [L3]: closed before the look at who sleeps.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (ring::sleeps(reader_waker_.word(), ring::SleepState::on_futex))
    if (const std::byte* const header = peer_looks_at()) os::futex_wake(header, 1);
  if (ring::sleeps(writer_waker_.word(), ring::SleepState::on_futex))
    os::futex_wake(&incoming().reader_sleep.release_count, 1);
}

// In a forked child, whose one thread holds no stay in any gate that matters.
void Endpoint::become_inert() noexcept {
  // [E7] relaxed; pairs with [E1]: one thread.
  standing_.status_.store(Status::inert, std::memory_order_relaxed);
  socket_.reset();
  segment_->forget();
}

}  // namespace portolan::port
