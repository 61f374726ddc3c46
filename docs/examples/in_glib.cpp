// SPDX-License-Identifier: Apache-2.0

// A port in GLib's main loop, with a process at its other end. The source of g_unix_fd_add() is
// level-triggered: what one dispatch() leaves brings the next call. What listeners throw goes to the handler,
// and not through C.
#include <cstdio>
#include <exception>
#include <glib-unix.h>
#include <string_view>
#include <utility>

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

static gboolean on_readable(gint, GIOCondition, gpointer port) noexcept {
  static_cast<portolan::MessagePort*>(port)->dispatch();
  ++dispatches;
  return G_SOURCE_CONTINUE;
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--count")) return count(), 0;

  portolan::Worker counter("/proc/self/exe", {"--count"});
  portolan::MessageChannel channel;
  counter.post_message("start", {.transfer = {channel.port2}});
  if (!counter.receive()) return 1;

  GMainLoop* const loop = g_main_loop_new(nullptr, FALSE);
  int numbers = 0, thrown = 0;
  portolan::EventLoop::current().set_exception_handler([&](std::exception_ptr) { ++thrown; });
  channel.port1.on_message<int>([&](int number) {
    numbers += number == numbers + 1;
    if (number == kNumbers) channel.port1.post_message(number);
    if (number == 7) throw number;  // goes to the handler, and stops nothing else
  });
  channel.port1.on_close([&] { g_main_loop_quit(loop); });

  const guint watch = g_unix_fd_add(channel.port1.native_handle(), G_IO_IN, on_readable, &channel.port1);
  g_main_loop_run(loop);
  g_source_remove(watch);
  g_main_loop_unref(loop);
  std::printf("%d numbers in %d dispatches, %d thrown\n", numbers, dispatches, thrown);
  return numbers == kNumbers + 1 && dispatches > kNumbers / 64 && thrown == 1 ? 0 : 1;
}
