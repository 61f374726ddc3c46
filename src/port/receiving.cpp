// SPDX-License-Identifier: Apache-2.0

// The incoming half of an endpoint: the next frame, and everything that a reader does when there is none.

#include <algorithm>
#include <stop_token>
#include <utility>

#include "os/futex.hpp"
#include "os/membarrier.hpp"
#include "os/pause.hpp"
#include "os/socket.hpp"
#include "port/endpoint.hpp"
#include "port/thread_sleeper.hpp"

namespace portolan::port {

namespace {

// Bounds a sleep by its deadline.
std::int64_t until(std::int64_t deadline_ns, std::int64_t now_ns, std::int64_t longest_ns) noexcept {
  return deadline_ns == kForever ? longest_ns : std::clamp<std::int64_t>(deadline_ns - now_ns, 0, longest_ns);
}

}  // namespace

Endpoint::Take Endpoint::look(ring::Reader::Frame& frame) noexcept {
  const Status now = status();
  if (now == Status::detached || now == Status::inert || !owned()) [[unlikely]]
    return Take::detached;
  // Asked before the look: whatever was published before the end is found by it.
  for (bool ended = false;; ended = true) {
    switch (reader_.look(frame)) {
      case ring::Reader::Look::message:
        return Take::message;
      case ring::Reader::Look::mark:
        return Take::mark;
      case ring::Reader::Look::violation:
        return Take::violation;
      case ring::Reader::Look::refused:
        if (status() != Status::open) return Take::closed;  // meanwhile: the gate keeps the blocks
        refused_ = in_blocks_.error();
        if (!refused_) refused_ = std::make_error_code(std::errc::not_enough_memory);
        return Take::refused;
      case ring::Reader::Look::nothing:
        break;
    }
    after_release();
    if (now == Status::closed) return Take::closed;
    if (ended) return Take::closed;
    if (!peer_closed()) return Take::dry;
  }
}

Arrivals::Collected Endpoint::collect(const wire::Attachments& named,
                                      std::vector<FileDescriptor>& descriptors, std::error_code& refused) {
  const Gate::Stay stay(gate_, nullptr);
  if (!stay) return Arrivals::Collected::none;
  const Arrivals::Collected collected = arrivals_.collect(socket_.get(), named.generation, named.number,
                                                          named.descriptor_count, descriptors, refused);
  // The socket has room for another packet, which a writer may be waiting for.
  if (collected != Arrivals::Collected::refused) {
    ++packets_collected_;
    reader_.count_packet();
    after_release();
  }
  return collected;
}

Arrivals::Collected Endpoint::collect_early(const wire::Attachments& named, std::error_code& refused) {
  const Gate::Stay stay(gate_, nullptr);
  if (!stay) return Arrivals::Collected::none;
  return arrivals_.collect_early(socket_.get(), named.generation, named.number, named.descriptor_count,
                                 refused);
}

void Endpoint::wake_writer() noexcept {
  const std::lock_guard lock(waking_writer_);
  // [S11] seq_cst fence; pairs with [S10], [L3]: the hand-back comes before the look at who waits for it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint64_t word = writer_waker_.word();
  const bool doorbell = ring::sleeps(word, ring::SleepState::on_socket) && !writer_waker_.has_answered(word);
  if (!ring::sleeps(word, ring::SleepState::on_futex) && !doorbell) return;
  if (reader_.free_blocks() < std::min<std::uint64_t>(writer_waker_.at(), segment_->geometry().block_count))
    return;
  if (ring::sleeps(word, ring::SleepState::on_futex))
    os::futex_wake(&incoming().reader_sleep.release_count, 1);
  if (!doorbell) return;
  const Gate::Stay stay(gate_, nullptr);
  if (stay && !os::send_doorbell(socket_.get())) writer_waker_.answered(word);
}

void Endpoint::notice_hang_up() noexcept {
  // [E3] release; pairs with [E4]: the kernel told of the end after everything that the peer had published.
  standing_.peer_gone_.store(true, std::memory_order_release);
}

void Endpoint::look_for_hang_up() noexcept {
  const Gate::Stay stay(gate_, nullptr);
  if (stay && os::hung_up(socket_.get())) notice_hang_up();
}

void Endpoint::hold_off() noexcept {
  spare_writer_fences();
  look_away();
  // A poll costs 0.3 us, as many dry looks 45 us. Who gets messages needs none, for its peer lives.
  constexpr std::uint32_t kLooksPerPoll = 1024;
  if (std::exchange(dry_since_, reader_.taken_count()) != reader_.taken_count()) dry_looks_ = 0;
  if (++dry_looks_ % kLooksPerPoll == 0) look_for_hang_up();
}

// Of a writer that streams, no lines are fetched that it is about to write.
void Endpoint::look_away() noexcept {
  if (!back_off_.holds()) reader_.prefetch_frame();
  back_off_.dry(reader_.taken_bytes(), reader_.taken_count());
}

// A sleep costs 22 us of barriers where the sleeper fences for both sides, and each message 15 ns where the
// writer does. So who has taken many since its last sleep fences for both.
constexpr std::uint64_t kManyMessages = 1024;

void Endpoint::spare_writer_fences() noexcept {
  if (sleeper_fences_ || reader_.taken_count() - taken_before_sleep_ < kManyMessages) return;
  sleeper_fences_ = os::membarrier_registered();
  if (sleeper_fences_) announce_awake();
}

// Announces the sleep; then the caller looks once more. False: the writer may not have heard yet that it must
// fence, and this process cannot do it for both.
bool Endpoint::fall_asleep(ring::SleepState state, std::uint64_t at) noexcept {
  const std::uint64_t taken = std::exchange(taken_before_sleep_, reader_.taken_count());
  sleeper_fences_ = sleeper_fences_ && taken_before_sleep_ - taken >= kManyMessages;
  reader_sleeper_.announce(state, sleeper_fences_, at);
  if (sleeper_fences_ && os::membarrier()) return true;
  // [S9] seq_cst fence; pairs with [S5], [C4]: announced before the last look.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // [F2] acquire; pairs with [F1]: the writer fences from its next publication on, and has published
  // everything before it.
  const bool writer_fences = incoming().writer.unfenced.load(std::memory_order_acquire) == 0;
  return writer_fences || os::membarrier();
}

bool Endpoint::spin(std::int64_t deadline_ns) noexcept {
  const std::int64_t began_ns = os::monotonic_ns();
  const std::int64_t end_ns = began_ns + until(deadline_ns, began_ns, spin_budget_.nanoseconds());
  for (std::int64_t now_ns = began_ns; now_ns < end_ns; now_ns = os::monotonic_ns()) {
    for (int looks = 0; looks < 16; ++looks) {
      look_away();
      if (!reader_.dry()) return spin_budget_.paid_off(now_ns - began_ns), true;
    }
    if (peer_closed() || !usable()) return true;
  }
  spin_budget_.failed();
  return false;
}

Endpoint::Wait Endpoint::wait_for_message(std::int64_t deadline_ns, const std::stop_token& stop) {
  if (spin(deadline_ns)) return Wait::look_again;
  ThreadSleeper& sleeper = ThreadSleeper::current();
  // Counted before the gate, and once for all sleeps: a nudge that comes to a thread inside it ends them all.
  const std::uint32_t nudges = sleeper.nudges();
  const std::stop_callback nudge_on_stop(stop, [&sleeper] { sleeper.nudge(); });
  const Gate::Stay stay(gate_, &sleeper);
  if (!stay) return Wait::look_again;
  ThreadSleeper::Watch watch(sleeper);
  Wait woken = Wait::timed_out;
  const std::int64_t began_ns = os::monotonic_ns();
  for (bool light = true;; light = false) {
    if (stop.stop_requested()) return Wait::stopped;
    if (deadline_ns != kForever && os::monotonic_ns() >= deadline_ns) return Wait::timed_out;
    woken =
        light ? light_sleep(deadline_ns, sleeper, nudges) : deep_sleep(deadline_ns, watch, sleeper, nudges);
    if (woken == Wait::timed_out) continue;
    if (light) spin_budget_.slept(os::monotonic_ns() - began_ns);
    return woken;
  }
}

Endpoint::Wait Endpoint::pause(std::int64_t longest_ns, std::int64_t deadline_ns,
                               const std::stop_token& stop) noexcept {
  ThreadSleeper& sleeper = ThreadSleeper::current();
  const std::uint32_t nudges = sleeper.nudges();  // before the gate, as in wait_for_message
  const std::stop_callback nudge_on_stop(stop, [&sleeper] { sleeper.nudge(); });
  const Gate::Stay stay(gate_, &sleeper);
  if (!stay) return Wait::look_again;
  if (stop.stop_requested()) return Wait::stopped;
  const std::int64_t sleep_ns = until(deadline_ns, os::monotonic_ns(), longest_ns);
  if (sleep_ns <= 0) return Wait::timed_out;
  static_cast<void>(os::futex_wait_private(sleeper.nudge_word(), nudges, sleep_ns));
  return Wait::look_again;
}

template <class Dry>
bool Endpoint::sleep_on_header(ring::Location place, const void* header, std::int64_t deadline_ns,
                               const ThreadSleeper& sleeper, std::uint32_t nudges, Dry&& dry) noexcept {
  static_cast<void>(fall_asleep(ring::SleepState::on_futex, place.word()));
  bool look_again = !dry() || peer_closed() || !usable();
  if (!look_again) {
    const std::int64_t sleep_ns = until(deadline_ns, os::monotonic_ns(), kLightSleepNs);
    // The header's low half is never zero once it is published, so a late sleeper does not fall asleep.
    const os::Woken woken = os::futex_wait_either(header, 0, sleeper.nudge_word(), nudges, sleep_ns);
    look_again = woken != os::Woken::timed_out;
  }
  announce_awake();
  return look_again;
}

Endpoint::Wait Endpoint::light_sleep(std::int64_t deadline_ns, const ThreadSleeper& sleeper,
                                     std::uint32_t nudges) noexcept {
  const bool look_again = sleep_on_header(reader_.place(), reader_.header_address(), deadline_ns, sleeper,
                                          nudges, [this] { return reader_.dry(); });
  return look_again ? Wait::look_again : Wait::timed_out;
}

// Instead of a look at a socket that is flooded: so this thread costs others little. Messages wake it.
Endpoint::Wait Endpoint::rest(std::int64_t deadline_ns, const ThreadSleeper& sleeper,
                              std::uint32_t nudges) noexcept {
  const std::int64_t now_ns = os::monotonic_ns();
  const Wait woken = light_sleep(now_ns + until(deadline_ns, now_ns, IdleRings::kRestNs), sleeper, nudges);
  if (os::hung_up(socket_.get())) notice_hang_up();
  return peer_closed() ? Wait::look_again : woken;
}

// Light sleeps only, and a look for hang-up in between: for a deep one the doorbells would have to be
// drained, which is safe only with everything read.
Endpoint::Wait Endpoint::wait_ahead(std::int64_t deadline_ns) noexcept {
  ThreadSleeper& sleeper = ThreadSleeper::current();
  const std::uint32_t nudges = sleeper.nudges();  // before the gate, as in wait_for_message
  const Gate::Stay stay(gate_, &sleeper);
  if (!stay) return Wait::look_again;
  while (scout_.dry()) {
    if (deadline_ns != kForever && os::monotonic_ns() >= deadline_ns) return Wait::timed_out;
    if (sleep_on_header(scout_.place(), scout_.header_address(), deadline_ns, sleeper, nudges,
                        [this] { return scout_.dry(); }))
      break;
    if (os::hung_up(socket_.get())) notice_hang_up();
  }
  return Wait::look_again;
}

Endpoint::Wait Endpoint::deep_sleep(std::int64_t deadline_ns, ThreadSleeper::Watch& watch,
                                    const ThreadSleeper& sleeper, std::uint32_t nudges) noexcept {
  give_back_idle_blocks();
  if (idle_rings_.flooded() && rest(deadline_ns, sleeper, nudges) == Wait::look_again) {
    idle_rings_.answered();
    return Wait::look_again;
  }
  if (!drain_doorbells()) {
    idle_rings_.for_nothing();
    return peer_closed() || !usable() || sleeper.nudges() != nudges ? Wait::look_again : Wait::timed_out;
  }
  const bool fenced = fall_asleep(ring::SleepState::on_socket, reader_.place().word());
  bool look_again = !reader_.dry() || peer_closed() || !usable();
  if (!look_again) {
    const std::int64_t began_ns = os::monotonic_ns();
    const std::int64_t sleep_ns = until(deadline_ns, began_ns, fenced ? kRearmNs : kLightSleepNs);
    refused_ = watch.sleep(socket_.get(), nudges, sleep_ns);
    if (os::hung_up(socket_.get())) notice_hang_up();
    look_again = !reader_.dry() || peer_closed() || !usable() || sleeper.nudges() != nudges;
    if (os::monotonic_ns() - began_ns >= IdleRings::kRestNs)
      idle_rings_.quiet();
    else if (look_again)
      idle_rings_.answered();
    else
      idle_rings_.for_nothing();
  }
  announce_awake();
  if (refused_) return Wait::refused;
  return look_again ? Wait::look_again : Wait::timed_out;
}

std::uint64_t Endpoint::posted_by_peer() noexcept {
  // [W5] relaxed; pairs with [W3]: a bound, whose writer is told that this end is closed.
  const std::uint64_t posted = incoming().writer.posted.message_count.load(std::memory_order_relaxed);
  const std::uint64_t ring_bytes = segment_->geometry().direction_bytes() + ring::kFirstExtentBytes;
  return std::min(posted, reader_.taken_count() + ring_bytes / ring::kHeaderBytes);
}

std::pair<std::uint64_t, std::uint64_t> Endpoint::waiting() noexcept {
  const std::uint64_t messages = posted_by_peer();
  // [W19] relaxed; pairs with [W4]: a hint, whose worst is a wait, or a wake-up for little.
  const std::uint64_t bytes = incoming().writer.posted.message_bytes.load(std::memory_order_relaxed);
  const std::uint64_t taken = reader_.taken_count(), taken_bytes = reader_.taken_bytes();
  return {messages > taken ? messages - taken : 0, bytes > taken_bytes ? bytes - taken_bytes : 0};
}

// Only with everything read: a packet that a killed owner had asked for counts as taken, and may lie here
// still; then its frame is unread.
bool Endpoint::drain_doorbells() noexcept {
  return !reader_.dry() || arrivals_.drain_doorbells(socket_.get());
}

bool Endpoint::announce_sleep(bool deep, bool for_room, bool ahead) noexcept {
  const Gate::Stay stay(gate_, nullptr);
  if (!stay) return false;
  // A queue that is not enabled waits for the hang-up alone, and its doorbells would fill the socket. While
  // replies are waited for they may: then the loop's look once a second finds them.
  const bool dry = reader_.dry();
  if (deep && (dry || ahead) && !drain_doorbells()) return false;
  if (for_room) room_sleeper_.begin(ring::SleepState::on_socket, segment_->geometry().block_count / 2);
  if (!dry && !ahead) return true;
  const bool scouts = !dry && scout_.dry();
  sleeper_fences_ = os::membarrier_registered();  // the caller's barrier is for both
  reader_sleeper_.announce(deep ? ring::SleepState::on_socket : ring::SleepState::on_futex, sleeper_fences_,
                           (scouts ? scout_.place() : reader_.place()).word());
  return true;
}

void Endpoint::announce_awake() noexcept {
  room_sleeper_.end(ring::SleepState::on_socket);
  reader_sleeper_.announce(ring::SleepState::awake, sleeper_fences_, reader_.place().word());
}

}  // namespace portolan::port
