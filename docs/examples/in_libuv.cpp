// SPDX-License-Identifier: Apache-2.0

// A port in a loop of libuv, with a process at its other end. uv_poll is level-triggered: what one dispatch()
// leaves brings the next callback. What listeners throw goes to the handler, and not through C.
#include <cstdio>
#include <exception>
#include <string_view>
#include <utility>
#include <uv.h>

#include <portolan/portolan.hpp>

static constexpr int kNumbers = 200;

static void count() {
  portolan::MessagePort parent = portolan::parent_port();
  portolan::Received start = parent.receive();
  if (!start) return;
  portolan::MessagePort port = std::move(start->ports()[0]);
  for (int number = 1; number <= kNumbers; ++number) port.post_message(number);
  parent.post_message("all of them are there");
  if (portolan::Received last = port.receive()) port.post_message(last->data<int>() + 1);
}

static int dispatches = 0;

static void on_readable(uv_poll_t* watch, int, int) noexcept {
  static_cast<portolan::MessagePort*>(watch->data)->dispatch();
  ++dispatches;
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--count")) return count(), 0;

  portolan::Worker counter("/proc/self/exe", {"--count"});
  portolan::MessageChannel channel;
  counter.post_message("start", {.transfer = {channel.port2}});
  if (!counter.receive()) return 1;

  uv_poll_t watch;
  int numbers = 0, thrown = 0;
  portolan::EventLoop::current().set_exception_handler([&](std::exception_ptr) { ++thrown; });
  channel.port1.on_message<int>([&](int number) {
    numbers += number == numbers + 1;
    if (number == kNumbers) channel.port1.post_message(number);
    if (number == 7) throw number;  // goes to the handler, and stops nothing else
  });
  channel.port1.on_close([&] { uv_close(reinterpret_cast<uv_handle_t*>(&watch), nullptr); });

  watch.data = &channel.port1;
  if (uv_poll_init(uv_default_loop(), &watch, channel.port1.native_handle()) != 0) return 1;
  uv_poll_start(&watch, UV_READABLE, on_readable);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);  // until the watch is closed
  uv_loop_close(uv_default_loop());
  std::printf("%d numbers in %d dispatches, %d thrown\n", numbers, dispatches, thrown);
  return numbers == kNumbers + 1 && dispatches > kNumbers / 64 && thrown == 1 ? 0 : 1;
}
