// SPDX-License-Identifier: Apache-2.0

// What the shapes on top of ports cost: a request beside two bare messages, a coroutine that receives beside
// a listener and try_receive(), a sender that four threads share beside one of one's own, and a merge beside
// a posted port.

#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <portolan/coroutine.hpp>
#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

using Payload = std::array<std::byte, 64>;
constexpr int kTrips = 20'000;

// Counts trips, of which the first tenth is not timed.
class Stopwatch {
 public:
  bool goes_on() {
    if (trips_ == kTrips / 10) began_ns_ = now_ns();
    if (trips_ == kTrips / 10 + kTrips) ended_ns_ = now_ns();
    return trips_++ < kTrips / 10 + kTrips;
  }
  [[nodiscard]] double each_ns() const { return static_cast<double>(ended_ns_ - began_ns_) / kTrips; }

 private:
  int trips_ = 0;
  std::int64_t began_ns_ = 0;
  std::int64_t ended_ns_ = 0;
};

double each_ns(std::int64_t began_ns, int count) {
  return static_cast<double>(now_ns() - began_ns) / count;
}

// The other end, in a process of its own, answers by `answer`, polling; the clock runs from when `ask` says
// that it has warmed up.
template <class Ask, class Answer>
double trip_ns(Ask&& ask, Answer&& answer) {
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    for (;;) {
      portolan::Received question = port.try_receive();
      if (question.status() == portolan::ReceiveStatus::closed) return;
      if (question) answer(port, *question);
    }
  });
  handle = {};
  Stopwatch watch;
  ask(channel.port1, watch);
  channel.port1.close();
  return watch.each_ns();
}

// Asks one at a time.
template <class Once>
auto by_hand(Once once) {
  return [once](portolan::MessagePort& port, Stopwatch& watch) {
    while (watch.goes_on()) once(port);
  };
}

// Spawns it and runs the loop.
auto by_coroutine(portolan::Task<> (*trips)(portolan::MessagePort&, Stopwatch&)) {
  return [trips](portolan::MessagePort& port, Stopwatch& watch) {
    portolan::spawn(trips(port, watch));
    portolan::EventLoop::current().run();
  };
}

void answer_by_message(portolan::MessagePort& port, portolan::MessageEvent&) {
  port.post_message(Payload{});
}
void answer_by_reply(portolan::MessagePort&, portolan::MessageEvent& question) {
  question.reply(Payload{});
}

void polled_trip(portolan::MessagePort& port) {
  port.post_message(Payload{});
  while (!port.try_receive()) {
  }
}
void received_trip(portolan::MessagePort& port) {
  port.post_message(Payload{});
  if (!port.receive()) throw std::runtime_error("closed");
}
void requested_trip(portolan::MessagePort& port) {
  static_cast<void>(port.request(Payload{}).get());
}
portolan::Task<> awaited_trips(portolan::MessagePort& port, Stopwatch& watch) {
  while (watch.goes_on()) {
    port.post_message(Payload{});
    const portolan::Received answer = co_await portolan::next_message(port);
    if (!answer) throw std::runtime_error("closed");
  }
}
portolan::Task<> awaited_requests(portolan::MessagePort& port, Stopwatch& watch) {
  while (watch.goes_on()) {
    const portolan::MessageEvent reply = co_await port.request(Payload{});
    if (reply.bytes().size() != sizeof(Payload)) throw std::runtime_error("another reply");
  }
}
void listened_trips(portolan::MessagePort& port, Stopwatch& watch) {
  const auto next = [&] {
    if (watch.goes_on())
      port.post_message(Payload{});
    else
      port.close();
  };
  port.on_message(next);
  next();
  portolan::EventLoop::current().run();
}

// Both ends in this thread, so that the difference is what the way of receiving costs.
double received_by_hand_ns(int count) {
  portolan::MessageChannel channel;
  const std::int64_t began_ns = now_ns();
  for (int i = 0; i < count; ++i) {
    channel.port1.post_message(Payload{});
    if (!channel.port2.try_receive()) throw std::runtime_error("a message is missing");
  }
  return each_ns(began_ns, count);
}

portolan::Task<> receive_all(portolan::MessagePort& port, int& received) {
  while (const portolan::Received message = co_await portolan::next_message(port)) ++received;
}

// Posts in bursts, and has the loop take one after the other.
double received_in_loop_ns(int count, int burst, bool by_coroutine) {
  portolan::MessageChannel channel;
  int received = 0;
  if (by_coroutine)
    portolan::spawn(receive_all(channel.port2, received));
  else
    channel.port2.on_message([&](portolan::MessageEvent&) { ++received; });
  const std::int64_t began_ns = now_ns();
  for (int i = 0; i < count; i += burst) {
    for (int j = 0; j < burst; ++j) channel.port1.post_message(Payload{});
    while (received < i + burst) portolan::EventLoop::current().poll();
  }
  const double ns = each_ns(began_ns, count);
  channel.port1.close();
  portolan::EventLoop::current().run();
  return ns;
}

// `threads` of this process post, the other process receives.
double shared_sender_rate(int threads, int count) {
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    int received = 0;
    while (port.receive()) ++received;
    if (received != threads * count) throw std::runtime_error("a message is missing");
  });
  handle = {};
  portolan::SharedSender sender(std::move(channel.port1));
  const std::int64_t began_ns = now_ns();
  std::vector<std::thread> posting;
  posting.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread)
    posting.emplace_back([sender, count]() mutable {
      for (int i = 0; i < count; ++i)
        if (sender.post_message_for(std::chrono::seconds(10), Payload{}) != portolan::PostResult::posted)
          return;
    });
  for (std::thread& each : posting) each.join();
  return 1e9 / each_ns(began_ns, threads * count);
}

double own_sender_rate(int count) {
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    while (port.receive()) {
    }
  });
  handle = {};
  const std::int64_t began_ns = now_ns();
  for (int i = 0; i < count; ++i)
    if (channel.port1.post_message_for(std::chrono::seconds(10), Payload{}) != portolan::PostResult::posted)
      throw std::runtime_error("closed");
  const double rate = 1e9 / each_ns(began_ns, count);
  channel.port1.close();
  return rate;
}

// `count` channels that have been used, of which `port1` is to reach whoever has the other end of another
// one.
std::vector<portolan::MessageChannel> used_channels(int count) {
  std::vector<portolan::MessageChannel> channels(static_cast<std::size_t>(count));
  for (portolan::MessageChannel& channel : channels) {
    channel.port1.post_message(Payload{});
    if (!channel.port2.receive()) throw std::runtime_error("a message is missing");
  }
  return channels;
}

// Of two channels between this process and itself, with nothing unread.
double merge_us(int count) {
  std::vector<portolan::MessageChannel> far = used_channels(count), near = used_channels(count);
  const std::int64_t began_ns = now_ns();
  for (std::size_t i = 0; i < far.size(); ++i)
    portolan::merge(std::move(far[i].port1), std::move(near[i].port1));
  return each_ns(began_ns, count) / 1000;
}

// The same end reached by a post: to the first use of the port that has arrived.
double posted_port_us(int count) {
  std::vector<portolan::MessageChannel> moved = used_channels(count);
  portolan::MessageChannel way;
  const std::int64_t began_ns = now_ns();
  for (portolan::MessageChannel& channel : moved) {
    way.port1.post_message(Payload{}, {.transfer = {channel.port1}});
    portolan::Received arrival = way.port2.receive();
    channel.port1 = std::move(arrival->ports()[0]);
    channel.port1.post_message(Payload{});
  }
  return each_ns(began_ns, count) / 1000;
}

}  // namespace

void measure_patterns(Report& report) {
  constexpr int kMessages = 1'000'000;
  report.section("There and back, 64 bytes, the other side polling");
  report.row("two bare messages, try_receive() until it is there", "ns",
             [] { return trip_ns(by_hand(polled_trip), answer_by_message); });
  report.row("two bare messages, receive()", "ns",
             [] { return trip_ns(by_hand(received_trip), answer_by_message); });
  report.row("request() and get()", "ns", [] { return trip_ns(by_hand(requested_trip), answer_by_reply); });
  report.row("two bare messages, on_message in the loop", "ns",
             [] { return trip_ns(listened_trips, answer_by_message); });
  report.row("two bare messages, co_await next_message()", "ns",
             [] { return trip_ns(by_coroutine(awaited_trips), answer_by_message); });
  report.row("co_await request()", "ns",
             [] { return trip_ns(by_coroutine(awaited_requests), answer_by_reply); });
  report.section("Post and receive in one thread, 64 bytes");
  report.row("try_receive()", "ns", [] { return received_by_hand_ns(kMessages); });
  report.row("on_message, bursts of 64", "ns", [] { return received_in_loop_ns(kMessages, 64, false); });
  report.row("co_await next_message(), bursts of 64", "ns",
             [] { return received_in_loop_ns(kMessages, 64, true); });
  report.row("on_message, a turn of the loop each", "ns",
             [] { return received_in_loop_ns(kMessages / 20, 1, false); });
  report.row("co_await next_message(), a turn of the loop each", "ns",
             [] { return received_in_loop_ns(kMessages / 20, 1, true); });
  report.section("Many threads on CPU 0 post to CPU 1, 64 bytes");
  report.row("a port of one's own, one thread", "msg/s", [] { return own_sender_rate(2 * kMessages); });
  report.row("SharedSender, one thread", "msg/s", [] { return shared_sender_rate(1, 2 * kMessages); });
  report.row("SharedSender, four threads", "msg/s", [] { return shared_sender_rate(4, kMessages / 2); });
  report.section("Two sides that are to talk to each other");
  report.row("merge(), nothing unread", "us", [] { return merge_us(100); });
  report.row("a port posted, received and used", "us", [] { return posted_port_us(100); });
}

}  // namespace bench
