// SPDX-License-Identifier: Apache-2.0

// How long after the kill -9 of its peer each kind of waiter knows, by the memory that the peer had touched.
// Prints JSON. usage: death [--repeats N] [--mib N]...
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

using namespace portolan;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

// ---- the waiters; each returns once it knows

void in_receive(MessagePort& port) {
  static_cast<void>(port.receive());
}
void in_loop(MessagePort& port) {
  port.on_close([](CloseEvent&) { EventLoop::current().stop(); });
  EventLoop::current().run();
}
void in_poll(MessagePort& port) {
  bool told = false;
  port.on_close([&](CloseEvent&) { told = true; });
  pollfd asked{port.native_handle(), POLLIN, 0};
  while (!told) {
    ::poll(&asked, 1, -1);
    port.dispatch();
  }
}
void in_post(MessagePort& port) {
  const std::string text(5'000, 'f');
  while (port.try_post_message(text) == PostResult::posted) {
  }
  static_cast<void>(port.post_message_for(1h, text));
}
void in_reply(MessagePort& port) {
  Reply reply = port.request("never answered");
  try {
    static_cast<void>(reply.get());
  } catch (const RequestError&) {
  }
}
void in_wait_any(MessagePort& port) {
  MessageChannel quiet;
  MessagePort* const both[] = {&quiet.port1, &port};
  static_cast<void>(wait_any(both, 1h));
}

struct Waiter {
  const char* name;
  void (*wait)(MessagePort& port);
  bool forks = false;  // the peer has a child that lives on
};
constexpr Waiter kWaiters[] = {{"receive", in_receive},
                               {"loop", in_loop},
                               {"native_handle", in_poll},
                               {"post_message_for", in_post},
                               {"Reply::get", in_reply},
                               {"wait_any", in_wait_any},
                               {"receive, the peer has forked", in_receive, true}};

// ---- the peer

[[noreturn]] void live(PortHandle handle, std::size_t mib, bool forks, int ready) {
  const MessagePort port = MessagePort::adopt(std::move(handle));
  const std::size_t bytes = mib << 20;
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) ::_exit(1);
  const pid_t child = forks ? ::fork() : -1;
  if (child != 0) static_cast<void>(!::write(ready, &child, sizeof child));
  for (;;) ::pause();
}

double milliseconds_of_one(const Waiter& waiter, std::size_t mib) {
  MessageChannel data({.limit_bytes = 64 << 10});
  PortHandle handle = std::move(data.port2).release();
  int ready[2];
  if (::pipe(ready) != 0) throw std::runtime_error("pipe");
  const pid_t peer = ::fork();
  if (peer == 0) live(std::move(handle), mib, waiter.forks, ready[1]);
  handle = {};
  pid_t grandchild = -1;
  if (::read(ready[0], &grandchild, sizeof grandchild) != sizeof grandchild)
    throw std::runtime_error("the peer has not come up");
  for (const int end : ready) ::close(end);
  Clock::time_point killed;
  std::thread killer([&] {
    std::this_thread::sleep_for(30ms);  // beyond the 10 ms on a futex
    killed = Clock::now();
    ::kill(peer, SIGKILL);
  });
  waiter.wait(data.port1);
  const auto told = Clock::now();
  killer.join();
  ::waitpid(peer, nullptr, 0);
  if (grandchild > 0) ::kill(grandchild, SIGKILL);
  return std::chrono::duration<double, std::milli>(told - killed).count();
}

double at(const std::vector<double>& sorted, double part) {
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1) + 0.5)];
}

void measure(const Waiter& waiter, std::size_t mib, unsigned repeats, bool last) {
  std::vector<double> ms;
  for (unsigned i = 0; i < repeats; ++i) ms.push_back(milliseconds_of_one(waiter, mib));
  std::sort(ms.begin(), ms.end());
  std::printf(
      R"(  {"waiter": "%s", "mib": %zu, "repeats": %u, "ms_p50": %.3f, "ms_p90": %.3f, "ms_max": %.3f})"
      "%s\n",
      waiter.name, mib, repeats, at(ms, 0.5), at(ms, 0.9), ms.back(), last ? "" : ",");
  std::fflush(stdout);
}

}  // namespace

int main(int argument_count, char** arguments) try {
  std::vector<std::size_t> sizes;
  unsigned repeats = 0;
  for (int i = 1; i + 1 < argument_count; i += 2) {
    const auto number = std::strtoul(arguments[i + 1], nullptr, 10);
    if (std::string_view(arguments[i]) == "--repeats") repeats = static_cast<unsigned>(number);
    if (std::string_view(arguments[i]) == "--mib") sizes.push_back(number);
  }
  if (sizes.empty()) sizes = {1, 16, 128, 1024};
  std::printf("[\n");
  for (const std::size_t mib : sizes)
    for (const Waiter& waiter : kWaiters) {
      const bool last = mib == sizes.back() && &waiter == std::end(kWaiters) - 1;
      measure(waiter, mib, repeats != 0 ? repeats : mib < 100 ? 40 : mib < 1000 ? 15 : 5, last);
    }
  std::printf("]\n");
} catch (const std::exception& error) {
  std::fprintf(stderr, "death: %s\n", error.what());
  return 1;
}
