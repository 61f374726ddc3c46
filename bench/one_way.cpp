// SPDX-License-Identifier: Apache-2.0

// One-way throughput: the child copies each message in, the parent copies it out and checks its number. The
// parent starts the clock at the first message after a handshake, so that no backlog is measured.

#include <array>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "cpu.hpp"
#include "limits/bare_ring.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

void check(std::uint64_t expected, const std::byte* payload) {
  std::uint64_t number = 0;
  std::memcpy(&number, payload, sizeof number);
  if (number != expected) throw std::runtime_error("a message is missing");
}

enum class Waiting { polling, blocking };

double portolan_rate(std::size_t bytes, std::uint64_t count, Waiting waiting) {
  portolan::MessageChannel channel;
  portolan::PortHandle handle = std::move(channel.port2).release();
  const Partner partner([&] {
    portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
    std::vector<std::byte> payload(bytes);
    if (!port.receive()) return;
    for (std::uint64_t number = 0; number < count; ++number) {
      std::memcpy(payload.data(), &number, sizeof number);
      if (waiting == Waiting::blocking) {
        if (port.post_message_for(std::chrono::seconds(10), payload) != portolan::PostResult::posted) return;
      } else {
        while (port.try_post_message(payload) == portolan::PostResult::full) pause();
      }
    }
    static_cast<void>(port.receive());
  });
  handle = {};
  portolan::MessagePort& port = channel.port1;
  std::vector<std::byte> out(bytes);
  port.post_message("go");
  const std::int64_t began = now_ns();
  for (std::uint64_t number = 0; number < count;) {
    portolan::Received message = waiting == Waiting::blocking ? port.receive() : port.try_receive();
    if (!message) continue;
    std::memcpy(out.data(), message->bytes().data(), bytes);
    check(number++, out.data());
  }
  const std::int64_t took = now_ns() - began;
  port.close();
  return static_cast<double>(count) * 1e9 / static_cast<double>(took);
}

double stream_rate(const std::array<int, 2>& ends, std::size_t bytes, std::uint64_t count) {
  double rate = 0;
  {
    const Partner partner([&] {
      std::vector<std::byte> payload(bytes);
      for (std::uint64_t number = 0; number < count; ++number) {
        std::memcpy(payload.data(), &number, sizeof number);
        for (std::size_t done = 0; done < bytes;) {
          const ssize_t wrote = write(ends[1], payload.data() + done, bytes - done);
          if (wrote <= 0) throw std::runtime_error("write failed");
          done += static_cast<std::size_t>(wrote);
        }
      }
    });
    std::vector<std::byte> out(bytes);
    const std::int64_t began = now_ns();
    for (std::uint64_t number = 0; number < count; ++number) {
      for (std::size_t done = 0; done < bytes;) {
        const ssize_t got = read(ends[0], out.data() + done, bytes - done);
        if (got <= 0) throw std::runtime_error("read failed");
        done += static_cast<std::size_t>(got);
      }
      check(number, out.data());
    }
    rate = static_cast<double>(count) * 1e9 / static_cast<double>(now_ns() - began);
  }
  close(ends[0]);
  close(ends[1]);
  return rate;
}

double pipe_rate(std::size_t bytes, std::uint64_t count) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  return stream_rate(ends, bytes, count);
}

double socketpair_rate(std::size_t bytes, std::uint64_t count) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error("socketpair failed");
  return stream_rate(ends, bytes, count);
}

}  // namespace

void measure_one_way(Report& report) {
  report.section("One way, messages a second (copied in and out, numbers checked)");
  struct Size {
    std::size_t bytes;
    std::uint64_t ours, theirs;
  };
  for (const Size size :
       {Size{64, 20'000'000, 400'000}, Size{1024, 5'000'000, 400'000}, Size{65'536, 200'000, 60'000}}) {
    const std::string label = fmt::format("{} B", size.bytes);
    report.row(label + " bare ring, polling (limit)", "msg/s",
               [&] { return bare_ring_rate(size.bytes, size.ours); });
    report.row(label + " Portolan, polling", "msg/s",
               [&] { return portolan_rate(size.bytes, size.ours, Waiting::polling); });
    report.row(label + " Portolan, blocking calls", "msg/s",
               [&] { return portolan_rate(size.bytes, size.ours, Waiting::blocking); });
    report.row(label + " pipe", "msg/s", [&] { return pipe_rate(size.bytes, size.theirs); });
    report.row(label + " socketpair (stream)", "msg/s",
               [&] { return socketpair_rate(size.bytes, size.theirs); });
  }
}

}  // namespace bench
