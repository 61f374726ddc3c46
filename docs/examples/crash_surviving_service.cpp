// SPDX-License-Identifier: Apache-2.0

// A service that is killed in the middle of its work, three times, and a client that does not notice:
// portoland holds duplicates of its port. The broker runs in this very process here; usually it is the
// daemon.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <unistd.h>

#include <portolan/broker.hpp>
#include <portolan/portolan.hpp>

static const char* const kName = "org.example.squares";
static void serve() {
  std::map<std::string, portolan::MessagePort> left = portolan::reclaim(kName);  // by the service before it
  portolan::MessagePort port;
  if (left.empty()) {
    port = std::move(portolan::Listener(kName).accept().port());
    portolan::keep(kName, port);
  } else {
    port = std::move(left.at("port"));
  }
  // Once more, perhaps: this service must be able to answer a redelivered question twice.
  while (portolan::Received number = port.receive())
    static_cast<void>(port.try_post_message(number->data<std::uint64_t>() * number->data<std::uint64_t>()));
}

int main(int argc, char**) {
  if (argc > 1) return serve(), 0;
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
    const std::uint64_t square = answer ? answer->data<std::uint64_t>() : 0;  // none: it has seen a close
    if (answered != 0 && square == answered * answered) {
      ++again;
    } else if (++answered; square != answered * answered) {
      return std::printf("%lu is lost\n", static_cast<unsigned long>(answered)), 1;
    }
    if (answered != next_kill) continue;
    next_kill += 1'000;
    ::kill(service.pid(), SIGKILL);
    service = portolan::Worker("/proc/self/exe", {"serve"});
  }
  std::printf("%lu answers, three services killed, %lu came twice\n", kQuestions, again);
  return again <= 3 ? 0 : 1;
}
