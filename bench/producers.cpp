// SPDX-License-Identifier: Apache-2.0

// Several processes into one, each by a port of its own: there is no queue that they would share. All of them
// run on CPU 1, or on the others where there are more; the receiver is a loop on CPU 0.

#include <array>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <stdexcept>
#include <unistd.h>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

using Payload = std::array<std::byte, 64>;
constexpr std::uint64_t kMessages = 1'000'000;  // of all producers together

void produce(portolan::PortHandle handle, int processor, std::uint64_t count) {
  pin_to(processor);
  portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
  if (!port.receive()) return;
  const Payload payload{};
  for (std::uint64_t i = 0; i < count; ++i)
    if (port.post_message_for(std::chrono::seconds(10), payload) != portolan::PostResult::posted)
      throw std::runtime_error("no room came");
}

double producers_rate(std::size_t producers) {
  const std::uint64_t each = kMessages / producers;
  const int processors = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  std::vector<std::unique_ptr<portolan::MessageChannel>> channels;
  std::vector<std::unique_ptr<const Partner>> partners;
  for (std::size_t i = 0; i < producers; ++i) {
    portolan::MessageChannel& channel = *channels.emplace_back(std::make_unique<portolan::MessageChannel>());
    portolan::PortHandle handle = std::move(channel.port2).release();
    const int processor = 1 + static_cast<int>(i) % std::max(1, processors - 1);
    partners.push_back(std::make_unique<const Partner>([&] { produce(std::move(handle), processor, each); }));
  }
  portolan::EventLoop& loop = portolan::EventLoop::current();
  std::uint64_t received = 0;
  std::size_t open = producers;
  for (const auto& channel : channels) {
    channel->port1.on_message([&](portolan::MessageEvent&) { ++received; });
    channel->port1.on_close([&] {
      if (--open == 0) loop.stop();
    });
  }
  for (const auto& channel : channels) channel->port1.post_message("go");
  const std::int64_t began_ns = now_ns();
  loop.run();
  const std::int64_t took_ns = now_ns() - began_ns;
  if (received != each * producers) throw std::runtime_error("messages are missing");
  return static_cast<double>(received) * 1e9 / static_cast<double>(took_ns);
}

}  // namespace

void measure_producers(Report& report) {
  report.section("Producers into one process, 64 B, a port each, listeners in a loop");
  for (const std::size_t producers : {1U, 2U, 8U})
    report.row(fmt::format("{} producers, together", producers), "msg/s",
               [&] { return producers_rate(producers); });
}

}  // namespace bench
