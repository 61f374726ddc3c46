// SPDX-License-Identifier: Apache-2.0

// One end of a channel in this process: two descriptors, a segment, and the halves of its two rings.
//
// One thread posts, one receives; close() comes from any. The fast paths touch memory only. Whatever uses a
// descriptor stays inside the gate meanwhile, so that closing and moving find nobody there.
//   endpoint.cpp  birth, adoption, closing        posting.cpp    out: room, publication, waking the reader
//   moving.cpp    leaving for another process     receiving.cpp  in: messages, their descriptors, sleeping
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <system_error>
#include <vector>

#include <portolan/close_event.hpp>
#include <portolan/encoding.hpp>
#include <portolan/error.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/lane/standing.hpp>
#include <portolan/lane/waker.hpp>

#include "os/fork_watch.hpp"
#include "os/socket.hpp"
#include "os/wiped_slot.hpp"
#include "port/arrivals.hpp"
#include "port/back_off.hpp"
#include "port/fork_guard.hpp"
#include "port/gate.hpp"
#include "port/idle_rings.hpp"
#include "port/parcel.hpp"
#include "port/room_sleeper.hpp"
#include "port/segment.hpp"
#include "port/spin_budget.hpp"
#include "port/thread_sleeper.hpp"
#include "ring/name_table.hpp"
#include "ring/reader.hpp"
#include "ring/scout.hpp"
#include "ring/sleep_word.hpp"
#include "ring/writer.hpp"
#include "wire/attachments.hpp"

namespace portolan::port {

inline constexpr std::int64_t kForever = -1;
using lane::Status;

// A direction's blocks for a half that may be closed or moved meanwhile: what needs the descriptor passes the
// gate.
class GatedBlocks final : public ring::BlockStore {
 public:
  GatedBlocks(Gate& gate, DirectionBlocks& blocks) noexcept : gate_(gate), blocks_(blocks) {}
  std::byte* map_blocks() noexcept override {
    const Gate::Stay stay(gate_, nullptr);
    return stay ? blocks_.map_blocks() : nullptr;
  }
  bool allocate(ring::Run run) noexcept override {
    const Gate::Stay stay(gate_, nullptr);
    return stay && blocks_.allocate(run);
  }
  std::error_code error() const noexcept { return blocks_.error(); }

 private:
  Gate& gate_;
  DirectionBlocks& blocks_;
};

class Endpoint final : public ForkGuarded {
 public:
  enum class Adopted { yes, lost, wrong, refused };
  enum class Take { message, reply, mark, dry, waits, closed, detached, refused, violation };
  enum class Wait { look_again, timed_out, stopped, refused };
  struct Adoption {
    Adopted outcome = Adopted::yes;
    std::string wrong;        // what the parcel is not
    std::error_code refused;  // by this process's kernel; the parcel is unchanged and may be tried again
  };

  // Null unless adopted. Lost: somebody else has adopted it, or it is in transit once more.
  static std::unique_ptr<Endpoint> adopt(Parcel& parcel, ring::Adoption how, Adoption& result);
  ~Endpoint();

  // ---- state
  Status status() const noexcept { return standing_.status(); }
  bool usable() const noexcept { return standing_.usable(); }
  bool peer_closed() const noexcept { return standing_.peer_closed(); }
  CloseReason close_reason() const noexcept;
  bool same_channel(const Endpoint& other) const noexcept { return segment_->id() == other.segment_->id(); }
  Segment& segment() noexcept { return *segment_; }
  const std::string& label() const noexcept { return segment_->label(); }
  const std::shared_ptr<Segment>& shared_segment() const noexcept { return segment_; }
  ring::Side side() const noexcept { return side_; }
  std::uint64_t generation() const noexcept { return standing_.generation_; }
  const lane::Standing& standing() const noexcept { return standing_; }
  int socket() const noexcept { return socket_.get(); }
  // From the receiving thread: what comes over the socket is compared with it, and must not be it.
  std::uint64_t socket_inode() noexcept {
    if (socket_inode_ == 0) socket_inode_ = os::socket_inode(socket_.get());
    return socket_inode_;
  }
  ring::Reader& reader() noexcept { return reader_; }
  ring::Writer& writer() noexcept { return writer_; }
  const ring::Writer& writer() const noexcept { return writer_; }
  Gate& gate() noexcept { return gate_; }
  lane::Waker& reader_waker() noexcept { return reader_waker_; }

  // Any thread, any number of times: the first call does it. Tells the peer, wakes whoever sleeps here,
  // closes the descriptors. Two halves, because a loop that watches the socket must let go of it in between;
  // the second waits for the first, in whatever thread that is.
  bool begin_close(CloseReason reason) noexcept;
  void finish_close() noexcept;
  void close(CloseReason reason) noexcept {
    if (begin_close(reason)) finish_close();
  }
  // In a forked child: closes the copies of the descriptors, and takes no lock.
  void leave_behind() noexcept { become_inert(); }

  std::uint64_t adoptions() const noexcept {
    // [E9] relaxed; pairs with [E6]: for people.
    return page_->endpoint[static_cast<std::size_t>(side_)].adoption_count.load(std::memory_order_relaxed);
  }
  // Messages and bytes that the peer has not read.
  std::pair<std::uint64_t, std::uint64_t> unread() noexcept;
  // Messages that the peer's end has read, by whichever owner.
  std::uint64_t read_by_peer() noexcept;
  // Messages and bytes that are here unread, as the peer says.
  std::pair<std::uint64_t, std::uint64_t> waiting() noexcept;

  // ---- out (the posting thread)
  std::byte* room(std::uint64_t payload_bytes) noexcept {
    if (std::byte* const room = writer_.room_here(payload_bytes)) [[likely]]
      return room;
    return room_further_on(payload_bytes);
  }
  // A longer one for the message that is being written.
  std::byte* extend(std::uint64_t payload_bytes, std::uint64_t written_bytes) noexcept {
    std::byte* const room = writer_.extend(payload_bytes, written_bytes);
    if (room == nullptr) wake_reader_if_asleep();
    return room;
  }
  void publish(ring::FrameHeader header) noexcept {
    writer_.commit(header);
    wake_reader_if_asleep();
  }
  ring::NameTable& names() noexcept { return names_; }
  // Looks after whoever sleeps at the other end, as after a publication.
  void wake_reader() noexcept;
  // Waits until a payload fits (or a body in a file of its own), the peer is gone, or the time is up.
  // With `packet`, room for one in the socket too.
  Wait wait_for_room(std::uint64_t payload_bytes, bool packet, std::int64_t deadline_ns) noexcept;
  bool has_room(std::uint64_t payload_bytes, bool packet) noexcept;
  std::uint64_t blocks_to_wait_for(std::uint64_t payload_bytes, bool packet) const noexcept;
  void give_back_idle_blocks() noexcept;
  // The number of the next transfer, announced; take_back_number() if its packet could not be sent.
  std::uint64_t announce_transfer() noexcept;
  void take_back_number(std::uint64_t number) noexcept;
  // By whichever owner of this end.
  bool has_announced_transfers() const noexcept;
  bool socket_has_room(std::size_t packets) const noexcept;
  void post_mark() noexcept;
  // Half of the channel is free: the time to go on after it was full.
  bool drained_half() noexcept;

  // ---- in (the receiving thread)
  Take look(ring::Reader::Frame& frame) noexcept;
  // Everything a dry reader does: hold off, spin, sleep on the futex, sleep on the socket.
  Wait wait_for_message(std::int64_t deadline_ns, const std::stop_token& stop);
  // For that long, with messages unread.
  Wait pause(std::int64_t longest_ns, std::int64_t deadline_ns, const std::stop_token& stop) noexcept;
  // The same for what comes behind everything that the scout has shown, with messages unread in front of it.
  Wait wait_ahead(std::int64_t deadline_ns) noexcept;
  ring::Scout& scout() noexcept { return scout_; }
  bool dry() const noexcept { return reader_.dry(); }
  // A look that must not sleep: holds off so that batches can build, and now and then looks for a hang-up.
  void hold_off() noexcept;
  Arrivals::Collected collect(const wire::Attachments& named, std::vector<FileDescriptor>& descriptors,
                              std::error_code& refused);
  // How often that has not been refused.
  std::uint64_t packets_collected() const noexcept { return packets_collected_; }
  // Before the turn of its frame; collect() gives it again.
  Arrivals::Collected collect_early(const wire::Attachments& named, std::error_code& refused);
  // Drains doorbells and stores the words; the caller does the barrier. False: do not sleep. With `for_room`
  // also the writer's word. With `ahead` also while messages are unread, for what comes behind them.
  bool announce_sleep(bool deep, bool for_room, bool ahead) noexcept;
  void announce_awake() noexcept;
  // How many messages the peer had posted when it was asked: as it says, but no more than the ring can hold.
  std::uint64_t posted_by_peer() noexcept;
  void look_for_hang_up() noexcept;
  void notice_hang_up() noexcept;
  Arrivals& arrivals() noexcept { return arrivals_; }
  void after_release() noexcept {
    if (reader_.take_handed_back()) [[unlikely]] {
      wake_writer();
      spare_writer_fences();
    }
  }
  // Everything in hand counts as read. False: the ring is another owner's by now, or is just being moved, and
  // nothing is written.
  bool pass_all() noexcept {
    const Status now = status();
    if ((now != Status::open && now != Status::closed) || !owned()) return false;
    reader_.pass_all();
    after_release();
    return true;
  }
  // Any thread, the segment's lock held.
  void hand_back_kept() noexcept {
    reader_.hand_back_kept();
    wake_writer();
  }
  std::error_code refused() const noexcept { return refused_; }
  std::error_code blocks_refused() const noexcept { return out_blocks_.error(); }

  // ---- moving (no other thread may use the endpoint, but close() and sleepers)
  // Marks it in transit; throws DataCloneError if it cannot leave, PortError if the kernel refuses.
  void begin_move();
  // True: a close was asked for meanwhile, and is the caller's to do.
  [[nodiscard]] bool undo_move() noexcept;
  // Another one takes its place in its port: nobody is inside from the first to the second. False: it was
  // closed before.
  [[nodiscard]] bool begin_replacement();
  // Closes it. True: its port was closed meanwhile.
  [[nodiscard]] bool end_replacement() noexcept;
  // It has left: the parcel holds the descriptors, and whoever gets them adopts it.
  Parcel finish_move() noexcept;

 private:
  // Detached until it is adopted.
  Endpoint(std::shared_ptr<Segment> segment, const Parcel& parcel);

  bool owned() const noexcept { return standing_.owned(); }
  ring::DirectionLines& outgoing() noexcept { return segment_->lines(side_); }
  ring::DirectionLines& incoming() noexcept { return segment_->lines(ring::other(side_)); }

  void become_inert() noexcept override;

  // After a publication. One without a message is an extent that was given up empty: where no room is found,
  // the reader has to pass it.
  void wake_reader_if_asleep() noexcept {
    if (reader_waker_.has_news()) [[unlikely]]
      wake_reader();
  }
  std::byte* room_further_on(std::uint64_t payload_bytes) noexcept;
  void let_reader_catch_up(std::uint64_t payload_bytes) noexcept;
  void wake_writer() noexcept;
  void wake_peer_on_futex() noexcept;
  std::byte* peer_looks_at() noexcept;
  void spare_writer_fences() noexcept;
  bool fall_asleep(ring::SleepState state, std::uint64_t at) noexcept;
  void look_away() noexcept;
  bool spin(std::int64_t deadline_ns) noexcept;
  // On the header at `place`, which is zero as long as `dry` says so.
  template <class Dry>
  bool sleep_on_header(ring::Location place, const void* header, std::int64_t deadline_ns,
                       const ThreadSleeper& sleeper, std::uint32_t nudges, Dry&& dry) noexcept;
  Wait light_sleep(std::int64_t deadline_ns, const ThreadSleeper& sleeper, std::uint32_t nudges) noexcept;
  Wait rest(std::int64_t deadline_ns, const ThreadSleeper& sleeper, std::uint32_t nudges) noexcept;
  Wait deep_sleep(std::int64_t deadline_ns, ThreadSleeper::Watch& watch, const ThreadSleeper& sleeper,
                  std::uint32_t nudges) noexcept;
  [[nodiscard]] bool drain_doorbells() noexcept;
  bool load_halves(ring::Adoption how) noexcept;
  [[nodiscard]] bool end_move() noexcept;

  std::shared_ptr<Segment> segment_;
  ring::ControlPage* page_;
  ring::Side side_;
  os::WipedSlot standing_slot_;
  static_assert(sizeof(lane::Standing) <= os::WipedSlot::kBytes);
  lane::Standing& standing_;
  std::mutex closing_;
  bool finished_ = false;
  Gate gate_;
  GatedBlocks out_blocks_;
  GatedBlocks in_blocks_;
  ring::Writer writer_;
  lane::Waker reader_waker_;
  ring::Reader reader_;
  ring::Scout scout_{reader_};
  BackOff back_off_;

  FileDescriptor socket_;
  std::uint64_t socket_inode_ = 0;  // once it was asked
  ring::Sleeper reader_sleeper_;
  RoomSleeper room_sleeper_;
  std::mutex waking_writer_;  // guards the next one: kept messages are let go of on any thread
  lane::Waker writer_waker_;
  Arrivals arrivals_;
  std::uint64_t packets_collected_ = 0;
  ring::NameTable names_;
  std::error_code refused_;
  SpinBudget spin_budget_;
  std::uint32_t dry_looks_ = 0;  // in a row
  std::uint64_t dry_since_ = 0;  // how many messages had been taken
  IdleRings idle_rings_;
  std::uint32_t releases_seen_ = 0;  // the reader's, when this end last left an extent
  std::int64_t left_extent_ns_ = 0;
  std::int64_t window_began_ns_ = 0;
  std::uint32_t window_peak_blocks_[2] = {0, 0};  // this window's and the last one's
  bool sleeper_fences_ = false;                   // as the reader's sleep word says
  std::uint64_t taken_before_sleep_ = 0;          // what the reader had taken when it slept last
  bool owes_mark_ = false;
};

}  // namespace portolan::port
