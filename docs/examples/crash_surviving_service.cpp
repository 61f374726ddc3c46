// SPDX-License-Identifier: Apache-2.0

// A service that is killed in the middle of its work, three times, and a client that does not notice.
// portoland holds duplicates of the service's port, and the next one goes on where the last one was. The
// broker runs in this very process here; usually it is the daemon, and nothing else is different.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <portolan/broker.hpp>
#include <portolan/portolan.hpp>

static const char* const kName = "org.example.squares";

static void serve() {
  std::map<std::string, portolan::MessagePort> left =
      portolan::reclaim(kName);  // by the service before this one
  portolan::MessagePort port;
  if (left.empty()) {
    portolan::Listener listener(kName);
    port = std::move(listener.accept().port());
    portolan::keep(kName, port);
  } else {
    port = std::move(left.at("port"));
  }
  while (portolan::Received number = port.receive()) {
    const auto value = number->data<std::uint64_t>();
    // Once more, perhaps: this service must be able to answer a redelivered question twice.
    static_cast<void>(port.try_post_message(value * value));
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("serve")) return serve(), 0;

  const std::string socket = "/tmp/crash_surviving_service." + std::to_string(::getpid());
  ::setenv("PORTOLAN_SOCKET", socket.c_str(), 1);
  portolan::Broker broker({.socket = socket});
  const std::jthread daemon([&](std::stop_token stop) { broker.run(stop); });

  portolan::Worker service("/proc/self/exe", {"serve"});
  portolan::MessagePort client = portolan::connect(kName);
  constexpr std::uint64_t kQuestions = 3'000;
  for (std::uint64_t n = 1; n <= kQuestions; ++n) client.post_message(n);
  std::uint64_t answered = 0, again = 0, next_kill = 500;
  while (answered < kQuestions) {
    portolan::Received answer = client.receive();
    if (!answer) return std::printf("the client has seen a close\n"), 1;
    const auto square = answer->data<std::uint64_t>();
    if (square == answered * answered) {
      ++again;
    } else if (square == (answered + 1) * (answered + 1)) {
      ++answered;
    } else {
      return std::printf("something is lost after %lu\n", static_cast<unsigned long>(answered)), 1;
    }
    if (answered == next_kill) {
      next_kill += 1'000;
      ::kill(service.pid(), SIGKILL);
      service = portolan::Worker("/proc/self/exe", {"serve"});
    }
  }
  std::printf("%lu answers, three services killed, %s\n", static_cast<unsigned long>(answered),
              again <= 3 ? "at most the one in hand came twice" : "too much came twice");
  return again <= 3 ? 0 : 1;
}
