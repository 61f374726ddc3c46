// SPDX-License-Identifier: Apache-2.0

// The machine's limit for messages of one size through shared memory: a ring with one writer and one reader,
// as good as we can write it, and nothing else. No sleeping, no closing, no owner that could be another one
// tomorrow.

#include <atomic>
#include <sys/mman.h>

#include <portolan/lane/prefetch.hpp>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

constexpr std::uint64_t kLineBytes = 64;
constexpr std::uint64_t kLeastBytes = 512 * 1024;  // stays in a core's own cache
constexpr std::uint64_t kWrap = ~std::uint64_t{0};
constexpr int kHoldPauses = 64;  // the best fixed hold for streams; round trips look again after one

struct Ring {
  alignas(kLineBytes) std::atomic<std::uint64_t> read_bytes;
  alignas(kLineBytes) std::byte frames[1];  // as many as there are
};

std::atomic<std::uint64_t>& header_at(Ring& ring, std::uint64_t offset) {
  return *reinterpret_cast<std::atomic<std::uint64_t>*>(ring.frames + offset);
}

// Frames are a header, which is zero until the payload is there, and the payload; one that would not fit
// before the end starts at the beginning again.
class BareWriter {
 public:
  BareWriter(Ring& ring, std::uint64_t ring_bytes) : ring_(ring), ring_bytes_(ring_bytes) {}

  template <class F>
  void write(std::size_t bytes, F write_payload) {
    const std::uint64_t frame_bytes = sizeof(std::uint64_t) + (bytes + 7) / 8 * 8;
    if (offset_ + frame_bytes + sizeof(std::uint64_t) > ring_bytes_) {
      wait_for_room(ring_bytes_ - offset_ + frame_bytes + sizeof(std::uint64_t));
      header_at(ring_, 0).store(0, std::memory_order_relaxed);
      publish(kWrap);
      written_bytes_ += ring_bytes_ - offset_;
      offset_ = 0;
    }
    wait_for_room(frame_bytes + sizeof(std::uint64_t));
    write_payload(std::span(ring_.frames + offset_ + sizeof(std::uint64_t), bytes));
    header_at(ring_, offset_ + frame_bytes).store(0, std::memory_order_relaxed);
    publish(bytes);
    written_bytes_ += frame_bytes;
    offset_ += frame_bytes;
    prefetch(frame_bytes);
  }

 private:
  void publish(std::uint64_t header) { header_at(ring_, offset_).store(header, std::memory_order_release); }
  void wait_for_room(std::uint64_t bytes) {
    while (written_bytes_ + bytes - read_bytes_ > ring_bytes_) {
      read_bytes_ = ring_.read_bytes.load(std::memory_order_acquire);
      if (written_bytes_ + bytes - read_bytes_ > ring_bytes_) pause();
    }
  }
  void prefetch(std::uint64_t frame_bytes) const {
    constexpr std::uint64_t kAhead = 2048, kLeast = 129, kMost = 4200;
    if (frame_bytes < kLeast || frame_bytes > kMost || offset_ + kAhead + frame_bytes > ring_bytes_) return;
    // What the reader has not read yet is its own.
    if (written_bytes_ + kAhead + frame_bytes - read_bytes_ > ring_bytes_) return;
    for (std::uint64_t line = 0; line < frame_bytes; line += kLineBytes)
      portolan::lane::prefetch_to_write(ring_.frames + offset_ + kAhead + line);
  }

  Ring& ring_;
  std::uint64_t ring_bytes_;
  std::uint64_t offset_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::uint64_t read_bytes_ = 0;
};

class BareReader {
 public:
  BareReader(Ring& ring, std::uint64_t ring_bytes) : ring_(ring), ring_bytes_(ring_bytes) {}

  // The payload of a message that is waited for: its lines would be another transfer, after the header's.
  void prefetch() const {
    if (offset_ + 2 * kLineBytes < ring_bytes_) __builtin_prefetch(ring_.frames + offset_ + kLineBytes);
  }

  // False: nothing there.
  template <class F>
  bool read(F read_payload) {
    std::uint64_t header = header_at(ring_, offset_).load(std::memory_order_acquire);
    if (header == 0) {
      tell();
      return false;
    }
    if (header == kWrap) {
      read_bytes_ += ring_bytes_ - offset_;
      offset_ = 0;
      tell();
      header = header_at(ring_, 0).load(std::memory_order_acquire);
      if (header == 0) return false;
    }
    read_payload(std::span<const std::byte>(ring_.frames + offset_ + sizeof header, header));
    const std::uint64_t frame_bytes = sizeof header + (header + 7) / 8 * 8;
    offset_ += frame_bytes;
    read_bytes_ += frame_bytes;
    if (read_bytes_ - told_bytes_ > ring_bytes_ / 8) tell();
    return true;
  }

 private:
  void tell() {
    if (told_bytes_ == read_bytes_) return;
    told_bytes_ = read_bytes_;
    ring_.read_bytes.store(read_bytes_, std::memory_order_release);
  }

  Ring& ring_;
  std::uint64_t ring_bytes_;
  std::uint64_t offset_ = 0;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t told_bytes_ = 0;
};

class BareRing {
 public:
  static constexpr std::string_view kName = "bare ring (limit)";
  static constexpr bool kIsLimit = true;
  static bool can(const Setup& setup) { return setup.waiting == Waiting::polling; }

  struct Meeting {
    explicit Meeting(const Setup& setup)
        : ring_bytes(std::max(kLeastBytes, (setup.bytes > 4 << 20 ? 2 : 4) * setup.bytes + (4 << 10))),
          to_near(make()),
          to_far(make()) {}
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;
    ~Meeting() {
      munmap(&to_near, sizeof(Ring) + ring_bytes);
      munmap(&to_far, sizeof(Ring) + ring_bytes);
    }
    Ring& make() const { return *static_cast<Ring*>(shared_memory(sizeof(Ring) + ring_bytes)); }
    std::uint64_t ring_bytes;
    Ring& to_near;
    Ring& to_far;
  };

  BareRing(const Meeting& meeting, const Setup& setup, Side side)
      : streams_(setup.one_way),
        reader_(side == Side::near ? meeting.to_near : meeting.to_far, meeting.ring_bytes),
        writer_(side == Side::near ? meeting.to_far : meeting.to_near, meeting.ring_bytes) {}

  void send(std::span<const std::byte> message) {
    writer_.write(message.size(),
                  [message](std::span<std::byte> room) { copy(room.data(), message.data(), room.size()); });
  }
  void receive(std::span<std::byte> out) {
    receive_in_place([out](std::span<const std::byte> message) {
      copy(out.data(), message.data(), std::min(out.size(), message.size()));
    });
  }
  template <class F>
  void send_in_place(std::size_t bytes, F write) {
    writer_.write(bytes, write);
  }
  template <class F>
  void receive_in_place(F read) {
    while (!reader_.read(read)) {
      if (!streams_) reader_.prefetch();
      for (int i = 0; i < (streams_ ? kHoldPauses : 1); ++i) pause();
    }
  }

 private:
  bool streams_;
  BareReader reader_;
  BareWriter writer_;
};

}  // namespace

const Peer& bare_ring_peer() {
  static const PeerOf<BareRing> peer;
  return peer;
}

}  // namespace bench
