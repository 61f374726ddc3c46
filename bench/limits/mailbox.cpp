// SPDX-License-Identifier: Apache-2.0

// The machine's limit for a round trip between sleepers: one message of memory each way, and a futex or an
// eventfd that wakes its reader. Nothing else is there, not even room for a second message.

#include <array>
#include <atomic>
#include <cstring>
#include <linux/futex.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

constexpr std::size_t kMostBytes = 4096;

struct Box {
  alignas(64) std::atomic<std::uint32_t> number{0};
  alignas(64) std::byte payload[kMostBytes];
};

struct Boxes {
  Box to_near, to_far;
};

Boxes& fresh_boxes() {
  static Boxes& boxes = shared<Boxes>();
  new (&boxes) Boxes;
  return boxes;
}

bool fits(const Setup& setup) {
  return !setup.one_way && setup.waiting == Waiting::blocking && setup.bytes <= kMostBytes;
}

class BareFutex {
 public:
  static constexpr std::string_view kName = "bare futex (limit)";
  static constexpr bool kIsLimit = true;
  static bool can(const Setup& setup) { return fits(setup); }

  struct Meeting {
    explicit Meeting(const Setup&) : boxes(fresh_boxes()) {}
    Boxes& boxes;
  };

  BareFutex(const Meeting& meeting, const Setup&, Side side)
      : in_(side == Side::near ? meeting.boxes.to_near : meeting.boxes.to_far),
        out_(side == Side::near ? meeting.boxes.to_far : meeting.boxes.to_near) {}
  void send(std::span<const std::byte> message) {
    std::memcpy(out_.payload, message.data(), message.size());
    out_.number.fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &out_.number, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  void receive(std::span<std::byte> out) {
    while (in_.number.load(std::memory_order_acquire) == seen_)
      syscall(SYS_futex, &in_.number, FUTEX_WAIT, seen_, nullptr, nullptr, 0);
    ++seen_;
    std::memcpy(out.data(), in_.payload, out.size());
  }

 private:
  Box& in_;
  Box& out_;
  std::uint32_t seen_ = 0;
};

class BareEventfd {
 public:
  static constexpr std::string_view kName = "bare eventfd (limit)";
  static constexpr bool kIsLimit = true;
  static bool can(const Setup& setup) { return fits(setup); }

  struct Meeting {
    explicit Meeting(const Setup&)
        : boxes(fresh_boxes()), bells{eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)} {
      if (bells[0] < 0 || bells[1] < 0) throw std::runtime_error("eventfd failed");
    }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;
    ~Meeting() {
      for (const int bell : bells) close(bell);
    }
    Boxes& boxes;
    std::array<int, 2> bells;
  };

  BareEventfd(const Meeting& meeting, const Setup&, Side side)
      : in_(side == Side::near ? meeting.boxes.to_near : meeting.boxes.to_far),
        out_(side == Side::near ? meeting.boxes.to_far : meeting.boxes.to_near),
        in_bell_(meeting.bells[side == Side::near ? 0 : 1]),
        out_bell_(meeting.bells[side == Side::near ? 1 : 0]) {}
  void send(std::span<const std::byte> message) {
    std::memcpy(out_.payload, message.data(), message.size());
    if (eventfd_write(out_bell_, 1) != 0) throw std::runtime_error("eventfd_write failed");
  }
  void receive(std::span<std::byte> out) {
    eventfd_t rings = 0;
    if (eventfd_read(in_bell_, &rings) != 0) throw std::runtime_error("eventfd_read failed");
    std::memcpy(out.data(), in_.payload, out.size());
  }

 private:
  Box& in_;
  Box& out_;
  int in_bell_, out_bell_;
};

}  // namespace

const Peer& bare_futex_peer() {
  static const PeerOf<BareFutex> peer;
  return peer;
}

const Peer& bare_eventfd_peer() {
  static const PeerOf<BareEventfd> peer;
  return peer;
}

}  // namespace bench
