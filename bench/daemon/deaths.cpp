// SPDX-License-Identifier: Apache-2.0

// Deaths under load: of the daemon, and of a service whose ports it keeps.
#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <stdexcept>
#include <unistd.h>

#include <portolan/port.hpp>

#include "daemon/connecting.hpp"
#include "daemon/daemon_process.hpp"
#include "daemon/questions.hpp"

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;
using portolan::MessagePort;
using portolan::Received;

constexpr int kDaemonDeaths = 50;
constexpr int kServiceDeaths = 1'000;
constexpr const char* kLedger = "org.example.ledger";

struct Flow {
  std::atomic<std::uint64_t> read;  // so far, in order
  std::atomic<std::uint64_t> lost;  // not the one that was due
  std::atomic<std::uint64_t> closes;
  std::atomic<std::uint64_t> redelivered;
  std::atomic<std::uint64_t> skipped;  // a service has not seen it
  std::atomic<std::uint64_t> in_hand;
};

// Each number with itself, until the port is closed.
int echo_numbers() {
  portolan::Listener listener("org.example.flow");
  MessagePort port = std::move(listener.accept().port());
  while (Received received = port.receive())
    if (port.try_post_message(received->data<std::uint64_t>()) != portolan::PostResult::posted) break;
  return 0;
}

// Keeps some numbers on their way all the time.
int flow(Flow& flow, std::atomic<bool>& ends) {
  MessagePort port = portolan::connect("org.example.flow");
  std::uint64_t posted = 0, read = 0;
  while (!ends) {
    while (posted < read + 100) port.post_message(++posted);
    Received received = port.receive();
    if (!received) return ++flow.closes, 1;
    if (received->data<std::uint64_t>() != ++read) ++flow.lost;
    flow.read = read;
  }
  return 0;
}

// Answers as a service in custody does: what its predecessor had in hand may come again.
int serve_ledger(Flow& flow) {
  std::map<std::string, MessagePort> left = portolan::reclaim(kLedger);
  MessagePort port;
  if (left.empty()) {
    portolan::Listener listener(kLedger);
    port = std::move(listener.accept().port());
    portolan::keep(kLedger, port);
  } else {
    port = std::move(left.at("port"));
  }
  while (Received received = port.receive()) {
    const auto number = received->data<std::uint64_t>();
    if (received->redelivered()) ++flow.redelivered;
    const std::uint64_t before = flow.in_hand;
    if (number != before + 1 && !(received->redelivered() && number == before)) ++flow.skipped;
    flow.in_hand = number;
    if (port.try_post_message(number) != portolan::PostResult::posted) break;
  }
  return 0;
}

}  // namespace

void ask_for_daemon_deaths(const std::string& daemon, Figures& figures) {
  DaemonProcess broker(daemon, {});
  auto& flowing = shared_value<Flow>();
  auto& ends = shared_value<std::atomic<bool>>();
  auto& connects = shared_value<std::atomic<std::uint64_t>>();
  const pid_t echo = start_process(echo_numbers);
  const pid_t client = start_process([&] { return flow(flowing, ends); });
  const pid_t service = start_process(accept_all);
  const pid_t crowd = start_process([&] {
    while (!ends) {
      std::error_code refused;
      if (portolan::connect(kServiceName, refused).is_open()) ++connects;
    }
    return 0;
  });
  while (flowing.read == 0) ::usleep(1'000);
  double longest_ms = 0;
  for (int death = 0; death < kDaemonDeaths; ++death) {
    ::usleep(static_cast<useconds_t>(10'000 + 7'919 * death % 40'000));
    broker.kill();
    broker.start();
    const auto begin = Clock::now();
    static_cast<void>(portolan::connect(kServiceName));  // waits until the name is back
    longest_ms =
        std::max(longest_ms, std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  ends = true;
  if (wait_for(client) != 0) ++flowing.closes;
  for (const pid_t each : {crowd, service, echo}) kill_process(each);
  figures.push_back({"daemon killed", kDaemonDeaths, "times"});
  figures.push_back({"messages on an open channel meanwhile", static_cast<double>(flowing.read), ""});
  figures.push_back(
      {"of these lost, or a close seen", static_cast<double>(flowing.lost + flowing.closes), ""});
  figures.push_back({"connects made by another program meanwhile", static_cast<double>(connects), ""});
  figures.push_back({"longest until a name was back with a new daemon", longest_ms, "ms"});
}

void ask_for_service_deaths(const std::string& daemon, Figures& figures) {
  DaemonProcess broker(daemon, {});
  auto& ledger = shared_value<Flow>();
  pid_t service = start_process([&] { return serve_ledger(ledger); });
  MessagePort client = portolan::connect(kLedger);
  std::uint64_t posted = 0, read = 0, twice = 0, lost = 0, closes = 0;
  const auto begin = Clock::now();
  for (int death = 0; death <= kServiceDeaths && closes == 0; ++death) {
    const std::uint64_t target = read + 5 + static_cast<std::uint64_t>(death) % 37;
    while (read < target && closes == 0) {
      while (posted < read + 50) client.post_message(++posted);
      Received answer = client.receive();
      if (!answer) {
        ++closes;
        break;
      }
      const auto number = answer->data<std::uint64_t>();
      if (number == read) {
        ++twice;
      } else {
        if (number != read + 1) ++lost;
        read = number;
      }
    }
    if (death == kServiceDeaths) break;
    ::kill(service, SIGKILL);
    // Its successor is there before it is reaped, and waits for its end.
    const pid_t successor = start_process([&] { return serve_ledger(ledger); });
    wait_for(service);
    service = successor;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  client.close();
  wait_for(service);
  figures.push_back({"service killed under load, in custody", kServiceDeaths, "times"});
  figures.push_back({"messages answered meanwhile", static_cast<double>(read), ""});
  figures.push_back({"messages lost or skipped", static_cast<double>(lost + ledger.skipped), ""});
  figures.push_back({"closes seen by its client", static_cast<double>(closes), ""});
  figures.push_back(
      {"messages that came to a service again, marked", static_cast<double>(ledger.redelivered), ""});
  figures.push_back({"answers that came twice", static_cast<double>(twice), ""});
  figures.push_back({"a death and a successor that has taken over", seconds / kServiceDeaths * 1e3, "ms"});
}

}  // namespace bench
