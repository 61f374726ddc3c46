// SPDX-License-Identifier: Apache-2.0

// A quiet port beside another port of the same process whose peer is hostile: how long a round trip takes
// while that peer does nothing, while it merely spins, and while it sends without end. The process is on
// CPU 0; who asks and who is hostile share CPU 1, where the one that asks comes first at once, so that its
// own wait for a CPU is not measured. Where each port has a thread, the two share CPU 0, and one waits for
// the other's slice of time: there a peer that posts ordinary messages is what is compared with.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <future>
#include <optional>
#include <sched.h>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/port.hpp>

#include "cpu.hpp"
#include "partner.hpp"
#include "questions.hpp"

namespace bench {

namespace {

using Payload = std::array<std::byte, 64>;

constexpr int kTrips = 4'000;
constexpr std::int64_t kBetweenNs = 300'000;
constexpr std::size_t kMostDescriptors = 253;  // that the kernel takes in a packet

struct Shared {
  std::atomic<bool> stop;
  std::array<std::int64_t, kTrips> trip_ns;
};

Shared& page() {
  static Shared& page = shared<Shared>();
  return page;
}

void send_packet(int socket, std::span<std::byte> bytes, std::span<const int> descriptors) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMostDescriptors * sizeof(int))> control;
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_LEN(descriptors.size_bytes());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = message.msg_controllen;
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  static_cast<void>(sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL));  // a full queue is tried again
}

enum class Storm { none, spinning, plain_messages, doorbells, descriptors, messages };

std::string name_of(Storm storm) {
  switch (storm) {
    case Storm::none:
      return "a peer that does nothing";
    case Storm::spinning:
      return "a peer that spins";
    case Storm::plain_messages:
      return "a peer that posts messages without end";
    case Storm::doorbells:
      return "a peer that sends doorbells without end";
    case Storm::descriptors:
      return "a peer that sends packets of 253 descriptors without end";
    case Storm::messages:
      break;
  }
  return "a peer that posts messages of 16 descriptors without end";
}

void post_without_end(portolan::PortHandle handle, std::size_t count) {
  portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
  while (!page().stop.load(std::memory_order_relaxed)) {
    std::vector<portolan::FileDescriptor> descriptors(count);
    for (portolan::FileDescriptor& each : descriptors) each = portolan::FileDescriptor(dup(0));
    static_cast<void>(port.try_post_message(Payload{}, {.transfer = {descriptors}}));
  }
}

void rage(Storm storm, portolan::PortHandle handle) {
  if (storm == Storm::plain_messages) return post_without_end(std::move(handle), 0);
  if (storm == Storm::messages) return post_without_end(std::move(handle), 16);
  const portolan::FileDescriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> many(kMostDescriptors, null.get());
  std::array<std::byte, 48> bytes{};
  const int socket = handle.socket().get();
  while (!page().stop.load(std::memory_order_relaxed)) {
    if (storm == Storm::none) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (storm == Storm::doorbells) send_packet(socket, std::span(bytes).first(1), {});
    if (storm == Storm::descriptors) send_packet(socket, bytes, many);
  }
}

// A trip counts from when it is posted: this process, which shares its CPU, may have been woken late.
void ask(portolan::PortHandle handle) {
  const sched_param foremost{.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &foremost) != 0)
    throw std::runtime_error("hostile: a real-time priority is needed (CAP_SYS_NICE)");
  portolan::MessagePort port = portolan::MessagePort::adopt(std::move(handle));
  std::int64_t due_ns = now_ns();
  for (std::int64_t& trip_ns : page().trip_ns) {
    due_ns = std::max(due_ns + kBetweenNs, now_ns());
    const timespec due{due_ns / 1'000'000'000, due_ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
    const std::int64_t posted_ns = now_ns();
    port.post_message(Payload{});
    if (!port.receive()) throw std::runtime_error("hostile: no answer");
    trip_ns = now_ns() - posted_ns;
  }
}

void answer_in_loop(portolan::MessagePort& quiet, portolan::MessagePort& other) {
  portolan::EventLoop& loop = portolan::EventLoop::current();
  other.on_message([](portolan::MessageEvent&) {});
  quiet.on_message([&](portolan::MessageEvent&) { quiet.post_message(Payload{}); });
  quiet.on_close([&] { loop.stop(); });
  loop.run();
}

void answer_blocking(portolan::MessagePort& quiet, portolan::MessagePort& other) {
  std::thread beside([&] {
    while (other.receive()) {
    }
  });
  while (quiet.receive()) quiet.post_message(Payload{});
  other.close();
  beside.join();
}

using Answering = void (*)(portolan::MessagePort& quiet, portolan::MessagePort& other);

// p50 and p99, in a thread whose loop knows of nothing else.
Parts trips_beside(Storm storm, Answering answer) {
  page().stop = false;
  portolan::MessageChannel quiet, other({.trust = portolan::Trust::foreign});
  portolan::PortHandle quiet_handle = std::move(quiet.port2).release();
  portolan::PortHandle other_handle = std::move(other.port2).release();
  {
    const Partner hostile([&] {
      quiet_handle = {};
      quiet.port1 = {};
      rage(storm, std::move(other_handle));
    });
    {
      const Partner asking([&] { ask(std::move(quiet_handle)); });
      quiet_handle = {};
      other_handle = {};
      answer(quiet.port1, other.port1);
    }
    page().stop = true;
  }
  std::vector<std::int64_t> trips(page().trip_ns.begin(), page().trip_ns.end());
  std::sort(trips.begin(), trips.end());
  return {static_cast<double>(trips[trips.size() / 2]), static_cast<double>(trips[trips.size() * 99 / 100])};
}

}  // namespace

void measure_hostile(Report& report) {
  struct Way {
    std::string name;
    Answering answering;
    Storm compared_with;
  };
  report.section("A round trip on a quiet port, beside another port of the process");
  for (const Way& way : {Way{"in a loop", answer_in_loop, Storm::spinning},
                         Way{"a thread each", answer_blocking, Storm::plain_messages}}) {
    std::optional<double> compared_ns;
    for (const Storm storm : {Storm::none, Storm::spinning, Storm::plain_messages, Storm::doorbells,
                              Storm::descriptors, Storm::messages}) {
      std::optional<double> p99_ns;
      report.parts(fmt::format("{}, {}", name_of(storm), way.name), {"Portolan"}, {"p50", "p99"}, "ns", [&] {
        Parts parts =
            std::async(std::launch::async, [&] { return trips_beside(storm, way.answering); }).get();
        p99_ns = parts[1];
        return parts;
      });
      if (storm == way.compared_with) compared_ns = p99_ns;
      if (storm <= way.compared_with || !p99_ns || !compared_ns) continue;
      report.row(
          fmt::format("{}, {}: p99, of that of {}", name_of(storm), way.name, name_of(way.compared_with)),
          "times", [&] { return *p99_ns / *compared_ns; });
    }
  }
}

}  // namespace bench
