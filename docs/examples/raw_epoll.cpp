// SPDX-License-Identifier: Apache-2.0

// A port inside a loop that knows nothing of it: native_handle() is an ordinary level-triggered descriptor,
// here in one epoll with a timer, and dispatch() runs the listeners for what is there.
#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <portolan/portolan.hpp>

static void watch(int epoll, int descriptor) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = descriptor}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) std::perror("epoll_ctl");
}

int main() {
  portolan::MessageChannel channel;
  std::thread producer([port = std::move(channel.port2)]() mutable {
    for (int i = 1; i <= 3; ++i) port.post_message("message " + std::to_string(i));
  });  // the port closes with its lambda

  bool open = true;
  channel.port1.on_message([](portolan::MessageEvent& event) {
    std::printf("%.*s\n", static_cast<int>(event.text().size()), event.text().data());
  });
  channel.port1.on_close([&](portolan::CloseEvent&) { open = false; });

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const itimerspec ten_ms{.it_interval = {0, 10'000'000}, .it_value = {0, 10'000'000}};
  timerfd_settime(timer, 0, &ten_ms, nullptr);
  watch(epoll, timer);
  watch(epoll, channel.port1.native_handle());

  std::uint64_t ticks = 0, ticks_now = 0;
  while (open) {
    epoll_event ready{};
    if (epoll_wait(epoll, &ready, 1, -1) != 1) continue;
    if (ready.data.fd != timer)
      channel.port1.dispatch();
    else if (read(timer, &ticks_now, sizeof ticks_now) == sizeof ticks_now)
      ticks += ticks_now;
  }
  std::printf("closed after %s\n", ticks == 0 ? "less than 10 ms" : "some ticks of the timer");
  producer.join();
  close(timer);
  close(epoll);
}
