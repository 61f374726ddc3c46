// SPDX-License-Identifier: Apache-2.0

// Makes a Peer of an adapter. The loops are compiled for the adapter's own type, so that a call is what its
// user would write and nothing is counted in that is the benchmark's.
//
// An adapter has
//   kName;
//   static bool can(const Setup&);
//   struct Meeting, which is made from the Setup before the fork and outlives both ends;
//   a constructor from (Meeting&, const Setup&, Side), called in the end's own process;
//   void send(std::span<const std::byte>), which waits for room, and
//   void receive(std::span<std::byte>), which waits for a message of that size and copies it out;
// and, where it can,
//   void send_in_place(std::size_t bytes, F write), with write(std::span<std::byte>), and
//   void receive_in_place(F read), with read(std::span<const std::byte>), and, if sending only queues,
//   void flush(), so that what was sent is on its way.
#pragma once

#include <algorithm>
#include <new>
#include <vector>

#include "cpu.hpp"
#include "partner.hpp"
#include "peers/duo.hpp"
#include "peers/payload.hpp"
#include "peers/peer.hpp"

namespace bench {

enum class Side : std::uint8_t { near, far };

template <class Adapter>
constexpr bool lends_memory() {
  return requires(Adapter & end) {
    end.send_in_place(std::size_t{}, [](std::span<std::byte>) {});
    end.receive_in_place([](std::span<const std::byte>) {});
  };
}

// One end of a stream, and how its messages are written and read.
template <class Adapter>
class Station {
 public:
  Station(Adapter& end, const Setup& setup) : end_(end), handling_(setup.handling), payload_(setup.bytes) {}

  void send(std::uint64_t number) {
    if constexpr (lends_memory<Adapter>()) {
      if (handling_ == Handling::in_place)
        return end_.send_in_place(payload_.size(),
                                  [number](std::span<std::byte> room) { fill(room, number); });
    }
    if (handling_ == Handling::copied)
      stamp(payload_, number);
    else
      fill(payload_, number);
    end_.send(payload_);
  }
  void send_timed(std::uint64_t number) {
    stamp(payload_, number);
    stamp_time(payload_, now_ns());
    end_.send(payload_);
  }
  void send_last() {
    stamp(payload_, kLastNumber);
    end_.send(payload_);
  }

  // False: it was the last.
  bool receive(std::uint64_t number) {
    bool more = true;
    const auto check = [&](std::span<const std::byte> message) {
      if (message.size() < sizeof number) throw std::runtime_error("a message is too short");
      more = number_of(message) != kLastNumber;
      if (!more) return;
      handling_ == Handling::copied ? check_stamp(message, number) : check_sum(message, number);
    };
    if constexpr (lends_memory<Adapter>()) {
      if (handling_ == Handling::in_place) {
        end_.receive_in_place(check);
        return more;
      }
    }
    end_.receive(payload_);
    check(payload_);
    return more;
  }

  std::span<const std::byte> payload() const { return payload_; }

 private:
  Adapter& end_;
  Handling handling_;
  std::vector<std::byte> payload_;
};

template <class Adapter>
void flush(Adapter& end) {
  if constexpr (requires { end.flush(); }) end.flush();
}

// Some drop what is not received yet when they leave.
template <class Adapter>
void stay_until_received(Adapter& end, const Stage& stage) {
  constexpr std::int64_t kLookNs = 100'000;
  while (!stage.received.load(std::memory_order_acquire)) {
    flush(end);
    sleep_until(now_ns() + kLookNs);
  }
}

// Sends as it is told to until the time is over.
template <class Adapter>
void send_stream(Adapter& end, const Stream& stream, Stage& stage) {
  Station<Adapter> station(end, stream.setup);
  station.send(0);
  flush(end);
  while (!stage.go.load(std::memory_order_acquire)) pause();
  const std::int64_t cpu_ns = cpu_time_ns();
  std::uint64_t number = 1;
  std::int64_t due_ns = now_ns();
  while (!stage.stop.load(std::memory_order_relaxed)) {
    if (stream.gap_ns == 0) {
      station.send(number++);
      continue;
    }
    due_ns += stream.gap_ns;
    if (stream.sleep_in_gaps) sleep_until(due_ns);
    while (now_ns() < due_ns) pause();
    for (std::uint64_t i = 0; i < stream.burst; ++i) station.send_timed(number++);
    flush(end);
  }
  station.send_last();
  stage.outcome.sender_cpu_ns = cpu_time_ns() - cpu_ns;
  stay_until_received(end, stage);
}

template <class Adapter>
void receive_stream(Adapter& end, const Stream& stream, Stage& stage) {
  constexpr std::uint64_t kWarmUpBytes = 4 << 20, kMostWarmUp = 1000;
  const std::uint64_t warm_up =
      stream.gap_ns != 0 ? 10 : std::clamp<std::uint64_t>(kWarmUpBytes / stream.setup.bytes, 2, kMostWarmUp);
  constexpr std::size_t kMostSamples = 1 << 20;
  Station<Adapter> station(end, stream.setup);
  std::vector<std::int64_t> delays_ns;
  if (stream.gap_ns != 0) delays_ns.reserve(kMostSamples);
  static_cast<void>(station.receive(0));
  const std::int64_t cpu_ns = cpu_time_ns();
  stage.go.store(true, std::memory_order_release);
  std::int64_t began_ns = now_ns();
  std::uint64_t number = 1;
  for (; station.receive(number); ++number) {
    if (number == warm_up) began_ns = now_ns();
    if (stream.gap_ns != 0 && number > warm_up && delays_ns.size() < kMostSamples)
      delays_ns.push_back(now_ns() - time_of(station.payload()));
  }
  stage.received.store(true, std::memory_order_release);
  if (stream.burst != 0 && number <= warm_up) throw std::runtime_error("too few messages for a figure");
  const std::int64_t took_ns = now_ns() - began_ns;
  Outcome& outcome = stage.outcome;
  outcome.receiver_cpu_ns = cpu_time_ns() - cpu_ns;
  outcome.messages = number - 1;
  outcome.per_second =
      (static_cast<double>(number - 1) - static_cast<double>(warm_up)) * 1e9 / static_cast<double>(took_ns);
  outcome.latency = latency_of(delays_ns);
}

template <class Adapter>
void answer_trips(Adapter& end, const Trips& trips, const Stage& stage) {
  std::vector<std::byte> payload(trips.setup.bytes);
  end.send(payload);
  flush(end);
  while (!stage.go.load(std::memory_order_acquire)) pause();
  do {
    end.receive(payload);
    end.send(payload);
  } while (number_of(payload) != kLastNumber);
  stay_until_received(end, stage);
}

template <class Adapter>
void make_trips(Adapter& end, const Trips& trips, Stage& stage) {
  constexpr std::size_t kMostSamples = 1 << 20, kWarmUp = 5;
  std::vector<std::byte> payload(trips.setup.bytes);
  std::vector<std::int64_t> samples_ns;
  samples_ns.reserve(kMostSamples);
  end.receive(payload);
  stage.go.store(true, std::memory_order_release);
  const auto trip = [&](std::uint64_t number) {
    stamp(payload, number);
    end.send(payload);
    end.receive(payload);
    check_stamp(payload, number);
  };
  for (std::uint64_t number = 0; number < kWarmUp; ++number) trip(number);
  std::int64_t due_ns = now_ns();
  for (std::uint64_t number = 0; !stage.stop.load(std::memory_order_relaxed); ++number) {
    if (trips.idle_ns != 0) sleep_until(now_ns() + trips.idle_ns);
    std::int64_t began_ns = now_ns();
    if (trips.interval_ns != 0) {
      due_ns += trips.interval_ns;
      while (now_ns() < due_ns) pause();
      began_ns = due_ns;
    }
    trip(number);
    if (samples_ns.size() < kMostSamples) samples_ns.push_back(now_ns() - began_ns);
  }
  trip(kLastNumber);
  stage.received.store(true, std::memory_order_release);
  stage.outcome.messages = samples_ns.size();
  stage.outcome.latency = latency_of(samples_ns);
}

template <class Adapter>
class PeerOf final : public Peer {
 public:
  std::string_view name() const override { return Adapter::kName; }
  bool is_limit() const override {
    if constexpr (requires { Adapter::kIsLimit; }) return Adapter::kIsLimit;
    return false;
  }
  bool can(const Setup& setup) const override {
    return (lends_memory<Adapter>() || setup.handling != Handling::in_place) && Adapter::can(setup);
  }
  Outcome run(const Stream& stream) const override {
    return run_with(
        stream, [&](Adapter& end, Stage& stage) { receive_stream(end, stream, stage); },
        [&](Adapter& end, Stage& stage) { send_stream(end, stream, stage); });
  }
  Outcome run(const Trips& asked) const override {
    Trips trips = asked;
    trips.setup.one_way = false;
    return run_with(
        trips, [&](Adapter& end, Stage& stage) { make_trips(end, trips, stage); },
        [&](Adapter& end, Stage& stage) { answer_trips(end, trips, stage); });
  }

 private:
  template <class Task, class Near, class Far>
  static Outcome run_with(const Task& task, const Near& near, const Far& far) {
    static Stage& stage = shared<Stage>();
    new (&stage) Stage;
    typename Adapter::Meeting meeting(task.setup);
    run_duo(
        stage, task.duration_ns,
        [&] {
          Adapter end(meeting, task.setup, Side::near);
          near(end, stage);
        },
        [&] {
          Adapter end(meeting, task.setup, Side::far);
          far(end, stage);
        });
    return stage.outcome;
  }
};

}  // namespace bench
