// SPDX-License-Identifier: Apache-2.0

// A port in Boost.Asio, with a process at its other end. What one dispatch() leaves completes the next wait
// at once. What listeners throw goes to the handler; without one it would come out of the io_context's run().
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <exception>
#include <functional>
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

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--count")) return count(), 0;

  portolan::Worker counter("/proc/self/exe", {"--count"});
  portolan::MessageChannel channel;
  counter.post_message("start", {.transfer = {channel.port2}});
  if (!counter.receive()) return 1;

  bool open = true;
  int numbers = 0, dispatches = 0, thrown = 0;
  portolan::EventLoop::current().set_exception_handler([&](std::exception_ptr) { ++thrown; });
  channel.port1.on_message<int>([&](int number) {
    numbers += number == numbers + 1;
    if (number == kNumbers) channel.port1.post_message(number);
    if (number == 7) throw number;  // goes to the handler, and stops nothing else
  });
  channel.port1.on_close([&] { open = false; });

  boost::asio::io_context loop;
  boost::asio::posix::stream_descriptor descriptor(loop, channel.port1.native_handle());
  const std::function<void()> watch = [&] {
    descriptor.async_wait(descriptor.wait_read, [&](const boost::system::error_code&) {
      channel.port1.dispatch();
      ++dispatches;
      if (open) watch();
    });
  };
  watch();
  loop.run();            // until nobody waits any more
  descriptor.release();  // it is the port's
  std::printf("%d numbers in %d dispatches, %d thrown\n", numbers, dispatches, thrown);
  return numbers == kNumbers + 1 && dispatches > kNumbers / 64 && thrown == 1 ? 0 : 1;
}
