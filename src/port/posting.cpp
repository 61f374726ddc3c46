// SPDX-License-Identifier: Apache-2.0

// The outgoing half of an endpoint: waking the peer's reader, waiting for room, numbering transfers.

#include <algorithm>
#include <cstring>
#include <utility>

#include "os/futex.hpp"
#include "os/membarrier.hpp"
#include "os/pause.hpp"
#include "os/socket.hpp"
#include "port/endpoint.hpp"
#include "port/thread_sleeper.hpp"
#include "wire/packet.hpp"

namespace portolan::port {

namespace {

// What a packet takes of SO_SNDBUF, whatever its size up to 192 bytes (278 fit 212,992 bytes, measured).
constexpr std::size_t kPacketCostBytes = 768;
// The kernel's least SO_SNDBUF (SOCK_MIN_SNDBUF), whatever is asked for.
constexpr std::size_t kLeastCapacityBytes = 4608;

}  // namespace

void Endpoint::wake_reader() noexcept {
  if (owes_mark_) [[unlikely]]
    post_mark();
  const std::uint64_t word = reader_waker_.word();
  const bool fences = !(os::membarrier_registered() && (word & ring::kSleeperFences) != 0);
  if (fences != reader_waker_.fences() || reader_waker_.never_answered()) {
    reader_waker_.set_fences(fences);
    // [F1] release; pairs with [F2]: from here on every publication is followed by a fence, or by none.
    outgoing().writer.unfenced.store(fences ? 0 : 1, std::memory_order_release);
    // [F3] seq_cst fence; pairs with [F2]: a reader that cannot fence for both must not find an old "yes".
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  switch (ring::sleep_state(word)) {
    case ring::SleepState::on_futex: {
      // Where the sleeper of this word looks: not always at the header just published.
      std::byte* const header = peer_looks_at();
      if (header == nullptr) break;
      // [W16] relaxed: our own word. Still zero: the sleeper has read all and may yet fall asleep there, so
      // whoever publishes there has to find this word unanswered.
      if (ring::header_at(header).load(std::memory_order_relaxed) == 0) return;
      os::futex_wake(header, 1);
      break;
    }
    case ring::SleepState::on_socket: {
      const Gate::Stay stay(gate_, nullptr);
      if (!stay) return;
      const std::error_code error = os::send_doorbell(socket_.get());
      // A full queue makes no edge for this doorbell, and a kernel without memory sends none; the next
      // publication tries again, and so does the sleeper's own look once a second.
      const bool gone = error == std::errc::broken_pipe || error == std::errc::connection_reset;
      if (error && !gone) return;
      if (gone) notice_hang_up();
      break;
    }
    case ring::SleepState::awake:
    default:
      break;
  }
  // Else the next publication comes here again.
  if (!owes_mark_) reader_waker_.answered(word);
}

std::byte* Endpoint::peer_looks_at() noexcept {
  const ring::Location place{reader_waker_.at()};
  const ring::Run run = place.run();
  if (run == ring::kFirstExtent) {
    const std::uint64_t offset = std::max(place.offset_bytes(), ring::kExtentHeadBytes);
    return offset + ring::kHeaderBytes <= ring::kFirstExtentBytes ? outgoing().first_extent + offset
                                                                  : nullptr;
  }
  const std::span<std::byte> blocks = segment_->blocks(side_).mapping().bytes();
  const std::uint64_t offset = run.block * segment_->geometry().block_bytes + place.offset_bytes();
  return offset + ring::kHeaderBytes <= blocks.size() ? blocks.data() + offset : nullptr;
}

// At the beginning of each extent what fetches lines ahead starts anew, and both ends have an extent to
// change: extents of one block cost a stream more than half its rate at 1 KiB
// (docs/decisions/extents-of-a-stream.md). Who fills a block within a millisecond streams.
constexpr std::uint32_t kStreamBlocks = 4;
constexpr std::int64_t kStreamNs = 1'000'000;

std::byte* Endpoint::room_further_on(std::uint64_t payload_bytes) noexcept {
  const std::int64_t now_ns = os::monotonic_ns();
  const bool streams = now_ns - std::exchange(left_extent_ns_, now_ns) < kStreamNs;
  writer_.prefer_extents_of(streams ? std::min(kStreamBlocks, segment_->geometry().block_count / 8) : 1);
  let_reader_catch_up(payload_bytes);
  std::byte* const room = writer_.reserve(payload_bytes);
  if (room == nullptr) wake_reader_if_asleep();
  return room;
}

// A reader that is only a little slower would have the ring grow to its limit, and both go through memory
// that no cache has. Taking a block of fresh pages costs about 40 us, so waiting as long for a reader that
// has just handed one back costs no more than twice that, and mostly a tenth. One that stands still is not
// waited for.
void Endpoint::let_reader_catch_up(std::uint64_t payload_bytes) noexcept {
  constexpr std::uint64_t kWarmBytes = std::uint64_t{768} << 10;  // what a core's own cache holds
  constexpr std::int64_t kPatienceNs = 40'000;
  constexpr std::uint32_t kLookEachNs =
      1'000;  // each takes the line from the reader, who writes it at each message
  const lane::SharedWord<std::uint32_t>& releases = outgoing().reader_sleep.release_count;
  // [S12] relaxed; pairs with [R8]: a hint; the maps are looked at before a block is taken.
  const std::uint32_t now = releases.load(std::memory_order_relaxed);
  if (std::exchange(releases_seen_, now) == now) return;
  const ring::Geometry& geometry = segment_->geometry();
  const std::uint64_t in_use_bytes =
      std::uint64_t{geometry.block_count - writer_.free_blocks()} * geometry.block_bytes;
  if (in_use_bytes <= std::max(kWarmBytes, 3 * payload_bytes)) return;
  const std::int64_t until_ns = os::monotonic_ns() + kPatienceNs;
  while (os::monotonic_ns() < until_ns) {
    os::pause_for(kLookEachNs);
    const std::uint32_t later = releases.load(std::memory_order_relaxed);  // [S12]
    if (later == now) continue;
    releases_seen_ = later - 1;  // it has been keeping up when the next extent is taken, too
    return;
  }
}

bool Endpoint::has_room(std::uint64_t payload_bytes, bool packet) noexcept {
  if (packet && !socket_has_room(1)) return false;
  if (payload_bytes > writer_.largest_payload_bytes()) {
    if (!writer_.large_body_fits(payload_bytes)) return false;
    payload_bytes = wire::attachments_bytes(1) + sizeof(std::uint64_t);
  }
  const bool found = room(payload_bytes) != nullptr;
  writer_.abandon();
  return found;
}

std::uint64_t Endpoint::blocks_to_wait_for(std::uint64_t payload_bytes, bool packet) const noexcept {
  // What a message in a file of its own or a packet waits for is not counted in blocks.
  if (payload_bytes > writer_.largest_payload_bytes() || (packet && !socket_has_room(1))) return 0;
  // Woken when half is free: at once would cost three times the wakes and a fifth of the throughput
  // (measured).
  const ring::Geometry& geometry = segment_->geometry();
  return std::max<std::uint64_t>(payload_bytes / geometry.block_bytes + 2, geometry.block_count / 2);
}

Endpoint::Wait Endpoint::wait_for_room(std::uint64_t payload_bytes, bool packet,
                                       std::int64_t deadline_ns) noexcept {
  ThreadSleeper& sleeper = ThreadSleeper::current();
  lane::SharedWord<std::uint32_t>& releases = outgoing().reader_sleep.release_count;
  for (;;) {
    const std::uint32_t nudges = sleeper.nudges();  // before the gate, as in wait_for_message
    const Gate::Stay stay(gate_, &sleeper);
    if (!stay) return Wait::look_again;
    // [S7] acquire; pairs with [R8]: the blocks are free once the count says so.
    const std::uint32_t released = releases.load(std::memory_order_acquire);
    room_sleeper_.begin(ring::SleepState::on_futex, blocks_to_wait_for(payload_bytes, packet));
    // [S10] seq_cst fence; pairs with [S11], [C4]: announced before the last look for room.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::int64_t left_ns = deadline_ns == kForever ? kLightSleepNs : deadline_ns - os::monotonic_ns();
    const bool look_again = has_room(payload_bytes, packet) || peer_closed() || !usable();
    if (!look_again && left_ns > 0)
      os::futex_wait_either(&releases, released, sleeper.nudge_word(), nudges,
                            std::min(left_ns, kLightSleepNs));
    room_sleeper_.end(ring::SleepState::on_futex);
    if (look_again) return Wait::look_again;
    if (os::hung_up(socket_.get())) notice_hang_up();
    if (deadline_ns != kForever && os::monotonic_ns() >= deadline_ns) return Wait::timed_out;
  }
}

std::pair<std::uint64_t, std::uint64_t> Endpoint::unread() noexcept {
  const ring::ReaderLine& reader = outgoing().reader;
  // [W13] acquire; pairs with [R5]: what was counted as read has been read.
  const std::uint64_t messages = reader.progress.message_count.load(std::memory_order_acquire);
  // [W14] relaxed; pairs with [R6]: at most a message behind.
  const std::uint64_t bytes = reader.progress.message_bytes.load(std::memory_order_relaxed);
  const std::uint64_t posted = writer_.message_count(), posted_bytes = writer_.message_bytes();
  return {posted > messages ? posted - messages : 0, posted_bytes > bytes ? posted_bytes - bytes : 0};
}

std::uint64_t Endpoint::read_by_peer() noexcept {
  return outgoing().reader.progress.message_count.load(std::memory_order_acquire);  // [W13]
}

bool Endpoint::drained_half() noexcept {
  return writer_.free_blocks() >= segment_->geometry().block_count / 2 && socket_has_room(1);
}

std::uint64_t Endpoint::announce_transfer() noexcept {
  // [T6] relaxed; pairs with [T5]: this owner's own word, or the last one's, which the adoption ordered.
  const std::uint64_t number = outgoing().writer.next_transfer.load(std::memory_order_relaxed) + 1;
  // [T5] release; pairs with [T4]: stored before the packet is sent, so a reader never takes it for
  // doorbells.
  outgoing().writer.next_transfer.store(number, std::memory_order_release);
  return number;
}

void Endpoint::take_back_number(std::uint64_t number) noexcept {
  // [T7] release; pairs with [T4]: nothing was sent under it.
  outgoing().writer.next_transfer.store(number - 1, std::memory_order_release);
}

bool Endpoint::has_announced_transfers() const noexcept {
  const ring::DirectionLines& lines = page_->direction[static_cast<std::size_t>(side_)];
  // [T9] relaxed; pairs with [T5]: asked on the thread that posts.
  return lines.writer.next_transfer.load(std::memory_order_relaxed) != 0;
}

bool Endpoint::socket_has_room(std::size_t packets) const noexcept {
  // A quarter stays free, so that a doorbell always fits. The capacity is asked for only when it may matter.
  const std::size_t bytes = os::unsent_bytes(socket_.get()) + packets * kPacketCostBytes;
  return bytes <= kLeastCapacityBytes / 4 * 3 || bytes <= os::send_capacity(socket_.get()) / 4 * 3;
}

// What lies in front of this packet in the socket was sent by an owner that was killed before it committed
// the frame.
void Endpoint::post_mark() noexcept {
  constexpr std::size_t kTable = wire::attachments_bytes(0);
  constexpr auto kPayload = static_cast<std::uint32_t>(kTable + sizeof(std::uint64_t));
  owes_mark_ = true;
  std::byte* const room = writer_.reserve(kPayload);
  if (room == nullptr) return;
  const std::uint64_t number = announce_transfer();
  const auto packet = wire::encode({wire::PacketKind::empty, 0, generation(), number});
  if (os::send_packet(socket_.get(), packet, {})) {
    take_back_number(number);
    writer_.abandon();
    return;
  }
  wire::write_attachments({room, kTable}, generation(), number, {});
  const std::uint64_t no_payload = 0;
  std::memcpy(room + kTable, &no_payload, sizeof no_payload);
  owes_mark_ = false;
  publish(ring::FrameHeader::mark(kPayload));
}

// Keeps as many blocks as were in use at the most in this window and the last one; never fewer than four. How
// many, not up to which: after a burst the one that is still written to may be the highest of them.
void Endpoint::give_back_idle_blocks() noexcept {
  constexpr std::int64_t kWindowNs = 500'000'000;
  constexpr std::uint32_t kLeastBlocks = 4;
  constexpr std::uint64_t kPunchBytes = std::uint64_t{1} << 20;  // a call each 64 KiB costs twice as much
  const std::uint32_t in_use = segment_->geometry().block_count - writer_.free_blocks();
  window_peak_blocks_[0] = std::max(window_peak_blocks_[0], in_use);
  const std::int64_t now_ns = os::monotonic_ns();
  if (now_ns - window_began_ns_ < kWindowNs) return;
  const std::uint32_t keep = std::max({kLeastBlocks, window_peak_blocks_[0], window_peak_blocks_[1]});
  window_peak_blocks_[1] = window_peak_blocks_[0];
  window_peak_blocks_[0] = 0;
  window_began_ns_ = now_ns;
  const Gate::Stay stay(gate_, nullptr);
  if (!stay) return;
  const auto most =
      static_cast<std::uint32_t>(std::max<std::uint64_t>(1, kPunchBytes / segment_->geometry().block_bytes));
  writer_.give_back(keep, most, [&](ring::Run run) { segment_->blocks(side_).punch(run); });
}

}  // namespace portolan::port
