// SPDX-License-Identifier: Apache-2.0

// A main thread that must never wait, as a user interface has one: it draws sixty times a second, and hands
// what takes long to a thread of its own. Clicks go there in order; progress and results come back as events.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include <portolan/portolan.hpp>

using namespace std::chrono_literals;

struct Progress {
  int percent = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& percent;
  }
};

static std::uint64_t add_up(std::uint64_t up_to, portolan::MessagePort& port) {
  std::uint64_t sum = 0;
  for (std::uint64_t tenth = 1; tenth <= 10; ++tenth) {
    for (std::uint64_t i = up_to / 10 * (tenth - 1) + 1; i <= up_to / 10 * tenth; ++i) sum += i;
    port.post_message(Progress{static_cast<int>(tenth) * 10});
  }
  return sum;
}

int main() {
  portolan::EventLoop& loop = portolan::EventLoop::current();
  portolan::MessageChannel channel;
  std::thread worker([port = std::move(channel.port2)]() mutable {
    port.on_message<std::uint64_t>(
        [&](std::uint64_t up_to, portolan::MessageEvent& event) { event.reply(add_up(up_to, port)); });
    portolan::EventLoop::current().run();  // until the main thread closes
  });

  int frames = 0, percent = 0;
  std::uint64_t result = 0;
  const portolan::TimerId drawing = loop.set_interval(16ms, [&] { ++frames; });
  channel.port1.on_message<Progress>([&](Progress progress) { percent = progress.percent; });
  channel.port1.request(std::uint64_t{50'000'000}).on_reply<std::uint64_t>([&](std::uint64_t sum) {
    result = sum;
    loop.clear(drawing);
    channel.port1.close();
  });
  loop.run();
  worker.join();
  std::printf("%d%%: %llu\n", percent, static_cast<unsigned long long>(result));
  return percent == 100 && result == 50'000'000ULL * 50'000'001 / 2 && frames >= 0 ? 0 : 1;
}
