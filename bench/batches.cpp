// SPDX-License-Identifier: Apache-2.0

// Small messages, received singly and together, and posted in bursts that wait for an answer.

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <stdexcept>
#include <vector>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

constexpr std::size_t kBatch = 64;

template <std::size_t Bytes>
double batch_rate(std::size_t batch) {
  constexpr std::uint64_t kCount = 3'000'000;
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    std::array<std::byte, Bytes> payload{};
    if (!port.receive()) return;
    for (std::uint64_t number = 0; number < kCount; ++number) {
      std::memcpy(payload.data(), &number, sizeof number);
      while (port.try_post_message(payload) == portolan::PostResult::full) pause();
    }
    static_cast<void>(port.receive());
  });
  handle = {};
  std::vector<portolan::Received> taken(batch);
  channel.port1.post_message("go");
  const std::int64_t began_ns = now_ns();
  for (std::uint64_t number = 0; number < kCount;) {
    const std::size_t count = channel.port1.receive_batch(taken);
    for (std::size_t i = 0; i < count; ++i) {
      std::uint64_t found = 0;
      std::memcpy(&found, taken[i]->bytes().data(), sizeof found);
      if (found != number++) throw std::runtime_error("a message is missing");
    }
  }
  const std::int64_t took_ns = now_ns() - began_ns;
  channel.port1.close();
  return static_cast<double>(kCount) * 1e9 / static_cast<double>(took_ns);
}

// Bursts of `burst` messages, each burst answered by one.
double burst_rate(std::size_t burst) {
  constexpr std::size_t kMessages = 400'000;
  const std::size_t bursts = kMessages / burst;
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    const std::array<std::byte, 64> payload{};
    for (std::size_t i = 0; i < bursts; ++i) {
      for (std::size_t message = 0; message < burst; ++message) port.post_message(payload);
      while (!port.try_receive())
        if (!port.is_open()) return;
    }
    static_cast<void>(port.receive());
  });
  handle = {};
  const std::int64_t began_ns = now_ns();
  for (std::size_t i = 0; i < bursts; ++i) {
    for (std::size_t message = 0; message < burst;)
      if (channel.port1.try_receive()) ++message;
    channel.port1.post_message("more");
  }
  const std::int64_t took_ns = now_ns() - began_ns;
  channel.port1.close();
  return static_cast<double>(bursts * burst) * 1e9 / static_cast<double>(took_ns);
}

}  // namespace

void measure_batches(Report& report) {
  report.section("Batches, polling, read in place");
  for (const std::size_t batch : {std::size_t{1}, kBatch}) {
    report.row(fmt::format("8 B, received by {}", batch), "msg/s", [&] { return batch_rate<8>(batch); });
    report.row(fmt::format("64 B, received by {}", batch), "msg/s", [&] { return batch_rate<64>(batch); });
  }
  for (const std::size_t burst : {4U, 16U, 64U})
    report.row(fmt::format("64 B, in bursts of {}, each answered", burst), "msg/s",
               [&] { return burst_rate(burst); });
}

}  // namespace bench
