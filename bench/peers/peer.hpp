// SPDX-License-Identifier: Apache-2.0

// One way for two processes to talk, as every question sees it, and what a question asks of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bench {

enum class Waiting : std::uint8_t { polling, blocking };

enum class Handling : std::uint8_t {
  copied,  // from a buffer of the sender, into a buffer of the receiver; the numbers at both ends are checked
  summed,  // the same, and every word is written before and summed after
  in_place,  // every word is written and summed where the message lies, as far as the peer lends its memory
};

// What a channel is opened for.
struct Setup {
  std::size_t bytes = 64;
  Waiting waiting = Waiting::blocking;
  Handling handling = Handling::copied;
  bool one_way = true;  // or there and back
};

// Messages one way, for a time. The clock starts when both sides are connected, and after the first messages.
struct Stream {
  Setup setup;
  std::int64_t duration_ns = 100'000'000;
  std::int64_t gap_ns = 0;  // between the beginnings of bursts; 0: as fast as it goes
  std::uint64_t burst = 1;  // messages
  bool sleep_in_gaps = false;
};

// There and back, each trip timed on the side that begins it.
struct Trips {
  Setup setup;
  std::int64_t duration_ns = 100'000'000;
  // When trips are due, whatever the one before takes: a late one counts from then. 0: back to back.
  std::int64_t interval_ns = 0;
  std::int64_t idle_ns = 0;  // sleep before each trip, so that the other side is asleep too
};

struct Latency {
  std::uint64_t samples = 0;
  std::int64_t p50_ns = 0, p90_ns = 0, p99_ns = 0, p99_9_ns = 0, p99_99_ns = 0, most_ns = 0;
};

struct Outcome {
  double per_second = 0;
  std::uint64_t messages = 0;
  std::int64_t receiver_cpu_ns = 0,
               sender_cpu_ns = 0;  // of the whole process, its library's threads included
  Latency latency;                 // of trips; of a paced stream: from post to receipt
};

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string_view name() const = 0;
  // What the machine can do, and no library that one could use instead.
  virtual bool is_limit() const { return false; }
  virtual bool can(const Setup& setup) const = 0;
  // Each runs two processes of its own, on CPU 0 and CPU 1. Throws std::runtime_error.
  virtual Outcome run(const Stream& stream) const = 0;
  virtual Outcome run(const Trips& trips) const = 0;
};

using Peers = std::vector<const Peer*>;

inline constexpr std::string_view kOurName = "Portolan";

}  // namespace bench
