// SPDX-License-Identifier: Apache-2.0

#include "limits/bare_ring.hpp"

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "cpu.hpp"
#include "partner.hpp"

namespace bench {

namespace {

constexpr std::uint64_t kLineBytes = 64;
constexpr std::uint64_t kRingBytes = 512 * 1024;  // stays in a core's own cache
constexpr std::uint64_t kWrap = ~std::uint64_t{0};
constexpr int kHoldPauses = 64;  // the best fixed hold for streams; round trips look again at once

struct Ring {
  alignas(kLineBytes) std::atomic<std::uint64_t> read_bytes;
  alignas(kLineBytes) std::byte frames[kRingBytes];
};

std::atomic<std::uint64_t>& header_at(Ring& ring, std::uint64_t offset) {
  return *reinterpret_cast<std::atomic<std::uint64_t>*>(ring.frames + offset);
}

// Frames are a header, which is zero until the payload is there, and the payload; one that would not fit
// before the end starts at the beginning again.
class BareWriter {
 public:
  explicit BareWriter(Ring& ring) : ring_(ring) {}

  void write(const std::byte* payload, std::size_t bytes) {
    const std::uint64_t frame_bytes = sizeof(std::uint64_t) + (bytes + 7) / 8 * 8;
    if (offset_ + frame_bytes + sizeof(std::uint64_t) > kRingBytes) {
      wait_for_room(kRingBytes - offset_ + frame_bytes + sizeof(std::uint64_t));
      header_at(ring_, 0).store(0, std::memory_order_relaxed);
      publish(kWrap);
      written_bytes_ += kRingBytes - offset_;
      offset_ = 0;
    }
    wait_for_room(frame_bytes + sizeof(std::uint64_t));
    std::memcpy(ring_.frames + offset_ + sizeof(std::uint64_t), payload, bytes);
    header_at(ring_, offset_ + frame_bytes).store(0, std::memory_order_relaxed);
    publish(bytes);
    written_bytes_ += frame_bytes;
    offset_ += frame_bytes;
    prefetch(frame_bytes);
  }

 private:
  void publish(std::uint64_t header) { header_at(ring_, offset_).store(header, std::memory_order_release); }
  void wait_for_room(std::uint64_t bytes) {
    while (written_bytes_ + bytes - read_bytes_ > kRingBytes) {
      read_bytes_ = ring_.read_bytes.load(std::memory_order_acquire);
      if (written_bytes_ + bytes - read_bytes_ > kRingBytes) pause();
    }
  }
  void prefetch(std::uint64_t frame_bytes) const {
    constexpr std::uint64_t kAhead = 2048, kLeast = 129, kMost = 2100;
    if (frame_bytes < kLeast || frame_bytes > kMost || offset_ + kAhead + frame_bytes > kRingBytes) return;
    for (std::uint64_t line = 0; line < frame_bytes; line += kLineBytes)
      __builtin_prefetch(ring_.frames + offset_ + kAhead + line, 1);
  }

  Ring& ring_;
  std::uint64_t offset_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::uint64_t read_bytes_ = 0;
};

class BareReader {
 public:
  explicit BareReader(Ring& ring) : ring_(ring) {}

  // False: nothing there.
  bool read(std::byte* out) {
    std::uint64_t header = header_at(ring_, offset_).load(std::memory_order_acquire);
    if (header == 0) {
      tell();
      return false;
    }
    if (header == kWrap) {
      read_bytes_ += kRingBytes - offset_;
      offset_ = 0;
      tell();
      header = header_at(ring_, 0).load(std::memory_order_acquire);
      if (header == 0) return false;
    }
    std::memcpy(out, ring_.frames + offset_ + sizeof header, header);
    const std::uint64_t frame_bytes = sizeof header + (header + 7) / 8 * 8;
    offset_ += frame_bytes;
    read_bytes_ += frame_bytes;
    if (read_bytes_ - told_bytes_ > kRingBytes / 8) tell();
    return true;
  }

 private:
  void tell() {
    if (told_bytes_ == read_bytes_) return;
    told_bytes_ = read_bytes_;
    ring_.read_bytes.store(read_bytes_, std::memory_order_release);
  }

  Ring& ring_;
  std::uint64_t offset_ = 0;
  std::uint64_t read_bytes_ = 0;
  std::uint64_t told_bytes_ = 0;
};

void reset(Ring& ring) {
  ring.read_bytes = 0;
  std::memset(ring.frames, 0, sizeof ring.frames);
}

}  // namespace

double bare_ring_rate(std::size_t bytes, std::uint64_t count) {
  static Ring& ring = shared<Ring>();
  static std::atomic<bool>& go = shared<std::atomic<bool>>();
  reset(ring);
  go = false;
  const Partner partner([&] {
    BareWriter writer(ring);
    std::vector<std::byte> payload(bytes);
    while (!go) pause();
    for (std::uint64_t number = 0; number < count; ++number) {
      std::memcpy(payload.data(), &number, sizeof number);
      writer.write(payload.data(), bytes);
    }
  });
  BareReader reader(ring);
  std::vector<std::byte> out(bytes);
  go = true;
  const std::int64_t began = now_ns();
  for (std::uint64_t number = 0; number < count;) {
    if (!reader.read(out.data())) {
      for (int i = 0; i < kHoldPauses; ++i) pause();
      continue;
    }
    std::uint64_t found = 0;
    std::memcpy(&found, out.data(), sizeof found);
    if (found != number++) throw std::runtime_error("a message is missing");
  }
  return static_cast<double>(count) * 1e9 / static_cast<double>(now_ns() - began);
}

}  // namespace bench
