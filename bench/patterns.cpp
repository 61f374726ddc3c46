// SPDX-License-Identifier: Apache-2.0

// What the shapes on top of ports cost: a request beside two bare messages, a coroutine that receives beside
// try_receive(), and a sender that four threads share beside one of one's own.

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

double each_ns(std::int64_t began_ns, int count) {
  return static_cast<double>(now_ns() - began_ns) / count;
}

// Asks one at a time; the other end answers by `answer`, polling.
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
  for (int i = 0; i < kTrips / 10; ++i) ask(channel.port1);
  const std::int64_t began_ns = now_ns();
  for (int i = 0; i < kTrips; ++i) ask(channel.port1);
  const double ns = each_ns(began_ns, kTrips);
  channel.port1.close();
  return ns;
}

double bare_trip_ns() {
  return trip_ns(
      [](portolan::MessagePort& port) {
        port.post_message(Payload{});
        while (!port.try_receive()) {
        }
      },
      [](portolan::MessagePort& port, portolan::MessageEvent&) { port.post_message(Payload{}); });
}

double request_trip_ns() {
  return trip_ns([](portolan::MessagePort& port) { static_cast<void>(port.request(Payload{}).get()); },
                 [](portolan::MessagePort&, portolan::MessageEvent& question) { question.reply(Payload{}); });
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
  while (co_await portolan::next_message(port)) ++received;
}

double received_by_coroutine_ns(int count, int burst) {
  portolan::MessageChannel channel;
  int received = 0;
  portolan::spawn(receive_all(channel.port2, received));
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

// Of a channel between this process and itself, with nothing unread.
double merge_us(int count) {
  std::vector<portolan::MessageChannel> far(static_cast<std::size_t>(count));
  std::vector<portolan::MessageChannel> near(far.size());
  for (std::vector<portolan::MessageChannel>* const channels : {&far, &near})
    for (portolan::MessageChannel& channel : *channels) {
      channel.port1.post_message(Payload{});
      if (!channel.port2.receive()) throw std::runtime_error("a message is missing");
    }
  const std::int64_t began_ns = now_ns();
  for (std::size_t i = 0; i < far.size(); ++i)
    portolan::merge(std::move(far[i].port1), std::move(near[i].port1));
  return each_ns(began_ns, count) / 1000;
}

}  // namespace

void measure_patterns(Report& report) {
  constexpr int kMessages = 1'000'000;
  report.section("Shapes on top of ports, 64 bytes");
  report.row("two bare messages, there and back, polling", "ns", bare_trip_ns);
  report.row("request and reply, get()", "ns", request_trip_ns);
  report.row("post and try_receive, one thread", "ns", [] { return received_by_hand_ns(kMessages); });
  report.row("post and co_await next_message, one at a time", "ns",
             [] { return received_by_coroutine_ns(kMessages / 50, 1); });
  report.row("post and co_await next_message, bursts of 64", "ns",
             [] { return received_by_coroutine_ns(kMessages, 64); });
  report.row("merge, nothing unread", "us", [] { return merge_us(100); });
  report.row("a port of one's own, one thread posts", "msg/s", [] { return own_sender_rate(2 * kMessages); });
  report.row("SharedSender, one thread posts", "msg/s", [] { return shared_sender_rate(1, 2 * kMessages); });
  report.row("SharedSender, four threads post", "msg/s", [] { return shared_sender_rate(4, kMessages / 2); });
}

}  // namespace bench
