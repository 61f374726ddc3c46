// SPDX-License-Identifier: Apache-2.0

// What is done with strangers, workers and loops while a call is refused.
#include "bad_input/refused_operations.hpp"

#ifdef PORTOLAN_CAN_REFUSE

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bad_input/refused_scene.hpp"

using namespace std::chrono_literals;

namespace portolan::testing {

namespace {

constexpr const char* kHello = "hello";

struct Place {
  std::string directory = "/tmp/portolan-refused-XXXXXX";
  Place() { REFUSED_HOLDS(::mkdtemp(directory.data()) != nullptr); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  [[nodiscard]] std::string address() const { return "unix:" + directory + "/s"; }
};

void listen_at_a_path(Attempt& attempt) {
  const Place place;
  std::optional<Listener> listener;
  attempt([&] { listener.emplace(place.address()); });
  MessagePort port = connect(place.address());
  ConnectEvent visitor = listener->accept();
  REFUSED_HOLDS(converse(port, visitor.port()));
}
void connect_to_a_path(Attempt& attempt) {
  const Place place;
  Listener listener(place.address());
  MessagePort port;
  attempt([&] { port = connect(place.address()); });
  std::optional<ConnectEvent> visitor;
  // Of an attempt that was refused somebody may have come, too.
  while ((visitor = listener.accept_for(kPatience)) && !port.is_open()) continue;
  port.post_message("the last one");
  bool met = false;
  while (visitor && !met) {
    Received received = visitor->port().receive_for(kPatience);
    met = received && received->text() == "the last one";
    if (!met) visitor = listener.accept_for(kPatience);
  }
  REFUSED_HOLDS(met);
}
void accept_at_a_path(Attempt& attempt) {
  const Place place;
  Listener listener(place.address());
  MessagePort port = connect(place.address());
  std::optional<ConnectEvent> visitor;
  static_cast<void>(port.receive_for(20ms));  // what a thread needs to sleep stays with it
  attempt([&] {
    visitor = listener.accept_for(100ms);
    // Whoever cannot be looked at now is turned away, sees that, and comes again.
    if (!visitor && port.receive_for(100ms).status() == ReceiveStatus::closed)
      port = connect(place.address());
    if (!visitor) visitor = listener.accept_for(kPatience);
  });
  REFUSED_HOLDS(visitor && converse(port, visitor->port()));
}

void start_a_worker(Attempt& attempt) {
  MessageChannel channel = narrow();
  WorkerOptions options;
  options.ports.emplace("given", std::move(channel.port2));
  std::optional<Worker> worker;
  attempt([&] { worker.emplace("/bin/true", std::vector<std::string>{}, std::move(options)); });
  REFUSED_HOLDS(options.ports.empty() || !options.ports.begin()->second.is_open());
  REFUSED_HOLDS(worker->wait().exited);
  REFUSED_HOLDS(channel.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
}

void run_a_loop(Attempt& attempt) {
  MessageChannel channel = narrow();
  std::vector<std::string> heard;
  bool closed = false;
  attempt([&] {
    channel.port2.on_message([&](MessageEvent& event) { heard.emplace_back(event.text()); });
    channel.port2.on_close([&](CloseEvent&) { closed = true; });
    EventLoop::current().set_timeout(15ms, [&] {
      if (channel.port1.is_open()) channel.port1.post_message(kHello);
      channel.port1.close();
    });
    EventLoop::current().run();
  });
  REFUSED_HOLDS(closed && heard == std::vector<std::string>{kHello});
}
void wake_a_loop(Attempt& attempt) {
  EventLoop& loop = EventLoop::current();
  bool woken = false;
  const std::jthread waker([&] {
    std::this_thread::sleep_for(15ms);
    loop.post([&] {
      woken = true;
      loop.stop();
    });
  });
  const TimerId patience = loop.set_timeout(kPatience, [] {});
  attempt([&] {
    while (!woken) loop.run();
  });
  loop.clear(patience);
  REFUSED_HOLDS(woken);
}
void foreign_loop(Attempt& attempt) {
  MessageChannel channel = narrow();
  std::vector<std::string> heard;
  channel.port1.post_message(kHello);
  attempt([&] {
    static_cast<void>(channel.port2.native_handle());
    channel.port2.on_message([&](MessageEvent& event) { heard.emplace_back(event.text()); });
    channel.port2.dispatch();
  });
  if (heard.empty()) channel.port2.dispatch();
  REFUSED_HOLDS(heard == std::vector<std::string>{kHello});
}

constexpr RefusedOperation kAmongOthers[] = {
    {"listening at a path", listen_at_a_path},
    {"connecting to a path", connect_to_a_path},
    {"accepting at a path", accept_at_a_path},
    {"starting a worker", start_a_worker},
    {"running a loop", run_a_loop},
    {"waking a loop", wake_a_loop},
    {"somebody else's loop", foreign_loop},
};

}  // namespace

std::span<const RefusedOperation> operations_among_others() {
  return kAmongOthers;
}

}  // namespace portolan::testing

#endif
