// SPDX-License-Identifier: Apache-2.0

// A camera publishes pictures to three processes: one keeps up, one is slow and sees the newest it can get,
// one has to see every picture, and holds the camera up. Nobody copies a picture.
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

using namespace std::chrono_literals;

static constexpr int kPictures = 40;

static void look(std::chrono::milliseconds time_for_one) {
  portolan::MessagePort camera = portolan::parent_port();
  int seen = 0, last = 0;
  while (portolan::Received received = camera.receive()) {
    const portolan::BufferView picture = received->data<portolan::BufferView>();
    std::memcpy(&last, picture.bytes().data(), sizeof last);
    ++seen;
    std::this_thread::sleep_for(time_for_one);
    if (last == kPictures) break;
  }
  std::printf("with %lld ms for each: %d of %d pictures, the last one was number %d\n",
              static_cast<long long>(time_for_one.count()), seen, kPictures, last);
}

int main(int argc, char** argv) {
  if (argc > 2 && argv[1] == std::string_view("--look")) return look(1ms * std::stoi(argv[2])), 0;

  using portolan::SlowPolicy;
  portolan::Publisher<portolan::BufferView> camera;
  std::deque<portolan::Worker> viewers;
  const auto add = [&](const char* time_for_one, SlowPolicy policy) {
    portolan::Worker& viewer =
        viewers.emplace_back("/proc/self/exe", std::vector<std::string>{"--look", time_for_one});
    return camera.add(std::move(viewer.port()), {.policy = policy, .most_unread = 4, .patience = 20s});
  };
  const auto quick = add("0", SlowPolicy::wait), slow = add("5", SlowPolicy::drop_oldest),
             thorough = add("2", SlowPolicy::wait);
  for (int number = 1; number <= kPictures; ++number) {
    portolan::SharedBuffer picture(1 << 20);
    std::memcpy(picture.bytes().data(), &number, sizeof number);
    picture = std::move(picture).read_only();
    camera.publish(picture.view(0, picture.size()));
  }
  portolan::EventLoop::current().run();  // what is held back goes out, and the viewers end
  const auto of = [&](portolan::SubscriberId id) { return camera.counters(id); };
  std::printf("dropped for the slow one: %llu\n", static_cast<unsigned long long>(of(slow).dropped));
  return of(quick).dropped + of(thorough).dropped == 0 && of(thorough).posted == kPictures ? 0 : 1;
}
