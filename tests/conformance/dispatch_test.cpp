// SPDX-License-Identifier: Apache-2.0

// Events and their listeners, as the DOM has them. tests/loop has more of the hard cases.
#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

#include "conformance/deliver.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Dispatches a fresh event and tells what the listeners logged.
std::string ping(EventTarget& target, std::string& log) {
  log.clear();
  Event event("ping");
  target.dispatch_event(event);
  return log;
}

struct Handles {
  std::string& log;
  std::function<void()> then = {};
  void handle_event(Event& event) {
    log += event.type();
    if (then) then();
  }
};

}  // namespace

TEST_CASE("[M54] a message event is trusted, does not bubble, cannot be cancelled, and is its port's") {
  const PortCensus census;
  MessageChannel channel;
  bool seen = false;
  channel.port2.on_message([&](MessageEvent& event) {
    CHECK_FALSE(event.bubbles());
    CHECK_FALSE(event.cancelable());
    CHECK(event.is_trusted());
    CHECK(event.target() == &channel.port2);
    CHECK(event.current_target() == &channel.port2);
    CHECK(event.origin().empty());
    CHECK(event.last_event_id().empty());
    CHECK(event.source() == nullptr);
    event.prevent_default();
    CHECK_FALSE(event.default_prevented());
    seen = true;
  });
  channel.port1.post_message("x");
  deliver();
  CHECK(seen);
}

TEST_CASE("[M55] the target of a port's messages is the port") {
  const PortCensus census;
  MessageChannel channel;
  const EventTarget* target = nullptr;
  channel.port2.add_event_listener("message", [&](Event& event) { target = event.target(); });
  channel.port2.start();
  channel.port1.post_message("x");
  deliver();
  CHECK(target == &channel.port2);
}

TEST_CASE("[M73] an event of one's own is not trusted, and dispatching it touches no queue") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  channel.port1.post_message("in the queue");
  channel.port2.add_event_listener(
      "close", [&](Event& event) { log.emplace_back(event.is_trusted() ? "trusted close" : "close"); });
  channel.port2.add_event_listener("message", [&](Event&) { log.emplace_back("message"); });
  Event close("close"), message("message");
  channel.port2.dispatch_event(close);
  channel.port2.dispatch_event(message);
  CHECK(log == Log{"close", "message"});
  CHECK(channel.port2.is_open());
  CHECK(channel.port2.try_receive()->text() == "in the queue");
}

TEST_CASE("[M74] a listener is known by its id, and one that is there keeps its place and its options") {
  MessagePort target;
  std::string log;
  const auto listener = [&] { log += 'a'; };
  const ListenerId first = target.add_event_listener("ping", listener);
  target.add_event_listener("ping", [&] { log += 'b'; });
  const ListenerId again = target.add_event_listener("ping", listener, {.once = true});
  CHECK(first != again);
  CHECK(ping(target, log) == "aba");
  CHECK(ping(target, log) == "ab");
  target.remove_event_listener(first);
  CHECK(ping(target, log) == "b");
}

TEST_CASE("[M75] no callback, or a signal that is stopped already, adds nothing") {
  MessagePort target;
  std::string log;
  std::stop_source stopped;
  stopped.request_stop();
  CHECK(target.add_event_listener("ping", nullptr) == ListenerId::none);
  CHECK(target.add_event_listener("ping", std::function<void(Event&)>()) == ListenerId::none);
  CHECK(target.add_event_listener("ping", [&] { log += 'x'; }, {.signal = stopped.get_token()}) ==
        ListenerId::none);
  CHECK(ping(target, log).empty());
}

TEST_CASE("[M76] a signal that is stopped removes its listener, and may come after a removal by hand") {
  MessagePort target;
  std::string log;
  std::stop_source first, second;
  target.add_event_listener("ping", [&] { log += 'a'; }, {.signal = first.get_token()});
  const ListenerId by_hand =
      target.add_event_listener("ping", [&] { log += 'b'; }, {.signal = second.get_token()});
  CHECK(ping(target, log) == "ab");
  first.request_stop();
  CHECK(ping(target, log) == "b");
  target.remove_event_listener(by_hand);
  second.request_stop();
  CHECK(ping(target, log).empty());
}

TEST_CASE("[M77] a removal finds its listener by the id alone, and ignores unknown ones") {
  MessagePort target;
  std::string log;
  const ListenerId id = target.add_event_listener("ping", [&] { log += 'a'; }, {.once = true});
  target.add_event_listener("ping", [&] { log += 'b'; });
  target.remove_event_listener(ListenerId{77});
  target.remove_event_listener(ListenerId::none);
  CHECK(target.add_event_listener("pong", [] {}) != id);
  target.remove_event_listener(id);
  target.remove_event_listener(id);
  CHECK(ping(target, log) == "b");
}

TEST_CASE("[M78] the third argument says capture, or has options") {
  MessagePort target;
  std::string log;
  target.add_event_listener("ping", [&] { log += 'a'; });
  target.add_event_listener(
      "ping", [&] { log += 'b'; }, false);
  target.add_event_listener(
      "ping", [&] { log += 'c'; }, true);
  target.add_event_listener("ping", [&] { log += 'd'; }, {.capture = true});
  CHECK(ping(target, log) == "cdab");
}

TEST_CASE("[M79] a callback is a function, or an object whose handle_event is looked up at each call") {
  MessagePort target;
  std::string log;
  Handles object{log};
  const EventTarget* current = nullptr;
  target.add_event_listener("ping", [&](Event& event) { current = event.current_target(); });
  target.add_event_listener("ping", &object);
  target.add_event_listener("ping", Handles{log});
  CHECK(ping(target, log) == "pingping");
  CHECK(current == &target);
  object.then = [&] { log += '!'; };
  CHECK(ping(target, log) == "ping!ping");
}

TEST_CASE("[M80] listeners added in a dispatch wait for the next event, removed ones do not run any more") {
  MessagePort target;
  std::string log;
  ListenerId later{};
  target.add_event_listener("ping", [&] {
    log += 'a';
    target.remove_event_listener(later);
    target.add_event_listener("ping", [&] { log += 'n'; }, {.once = true});
  });
  later = target.add_event_listener("ping", [&] { log += 'x'; });
  CHECK(ping(target, log) == "a");
  CHECK(ping(target, log) == "an");
}

TEST_CASE("[M81] a once listener is removed before it is called") {
  MessagePort target;
  std::string log;
  target.add_event_listener("ping",
                            [&] {
                              log += 'o';
                              Event inner("ping");
                              if (log.size() < 9) target.dispatch_event(inner);
                            },
                            {.once = true});
  CHECK(ping(target, log) == "o");
}

TEST_CASE("[M82] capture listeners run first, each group in its order, and all of them at the target") {
  MessagePort target;
  std::string log;
  const auto add = [&](char name, bool capture) {
    target.add_event_listener(
        "ping",
        [&log, name](Event& event) {
          CHECK(event.event_phase() == EventPhase::at_target);
          log += name;
        },
        capture);
  };
  add('a', false);
  add('b', true);
  add('c', false);
  add('d', true);
  CHECK(ping(target, log) == "bdac");
}

TEST_CASE("[M83] a passive listener cancels nothing; none is passive unless it says so") {
  MessagePort target;
  target.add_event_listener("a", [](Event& event) { event.prevent_default(); });
  target.add_event_listener("p", [](Event& event) { event.prevent_default(); }, {.passive = true});
  Event active("a", {.cancelable = true}), passive("p", {.cancelable = true});
  CHECK_FALSE(target.dispatch_event(active));
  CHECK(target.dispatch_event(passive));
}

TEST_CASE("[M84] stop_immediate_propagation stops the rest, stop_propagation those that do not capture") {
  MessagePort target;
  std::string log;
  bool immediate = false;
  target.add_event_listener(
      "ping",
      [&](Event& event) {
        if (immediate)
          event.stop_immediate_propagation();
        else
          event.stop_propagation();
      },
      true);
  target.add_event_listener(
      "ping", [&] { log += 'c'; }, true);
  target.add_event_listener("ping", [&] { log += 'b'; });
  CHECK(ping(target, log) == "c");
  immediate = true;
  CHECK(ping(target, log).empty());
}

TEST_CASE("[M85] an exception in a listener is reported, and stops neither the others nor the queue") {
  const PortCensus census;
  MessageChannel channel;
  Log log;
  EventLoop::current().set_exception_handler(
      [&](const std::exception_ptr&) { log.emplace_back("reported"); });
  channel.port2.add_event_listener("message", [](Event&) { throw std::runtime_error("a listener's"); });
  log_events(channel.port2, log);
  channel.port1.post_message("1");
  channel.port1.post_message("2");
  deliver();
  EventLoop::current().set_exception_handler({});
  CHECK(log == Log{"reported", "1", "reported", "2"});
}

TEST_CASE("[M86] after its dispatch an event has no phase, keeps its target, and can be dispatched again") {
  MessagePort target, other;
  int calls = 0;
  const auto stop = [&](Event& event) {
    ++calls;
    event.stop_immediate_propagation();
  };
  target.add_event_listener("ping", stop);
  other.add_event_listener("ping", stop);
  Event event("ping");
  target.dispatch_event(event);
  CHECK(event.event_phase() == EventPhase::none);
  CHECK(event.current_target() == nullptr);
  CHECK(event.target() == &target);
  other.dispatch_event(event);
  CHECK(calls == 2);
  CHECK(event.target() == &other);
}

TEST_CASE("[M87] dispatch_event runs the listeners now, says if one cancelled, and refuses an event in use") {
  MessagePort target;
  bool refused = false;
  target.add_event_listener("ping", [&](Event& event) {
    event.prevent_default();
    try {
      target.dispatch_event(event);
    } catch (const InvalidStateError&) {
      refused = true;
    }
  });
  Event event("ping", {.cancelable = true});
  CHECK_FALSE(target.dispatch_event(event));
  CHECK(refused);
  Event other("pong", {.cancelable = true});
  CHECK(target.dispatch_event(other));
}

TEST_CASE("[M88] a listener may add, remove, post, close, transfer and destroy the port it runs on") {
  const PortCensus census;
  Log log;
  MessageChannel adds, posts, closes, transfers, carrier;
  auto destroys = std::make_unique<MessageChannel>();
  std::optional<ListenerId> added;
  adds.port2.on_message([&](MessageEvent& event) {
    if (!added)
      added = adds.port2.add_event_listener("message", [&] { log.emplace_back("added"); });
    else if (event.text() == "3")
      adds.port2.remove_event_listener(*added);
  });
  posts.port2.on_message([&](MessageEvent&) { posts.port2.post_message("answer"); });
  closes.port2.on_message([&](MessageEvent&) { closes.port2.close(); });
  transfers.port2.on_message([&](MessageEvent& event) {
    carrier.port1.post_message("go", {.transfer = {transfers.port2}});
    log.push_back("moved at " + std::string(event.text()));  // the event keeps what it shows
  });
  destroys->port2.on_message([&](MessageEvent& event) {
    destroys->port2 = {};
    log.push_back("destroyed at " + std::string(event.text()));
  });
  for (const char* text : {"1", "2"}) {
    adds.port1.post_message(text);
    posts.port1.post_message(text);
    closes.port1.post_message(text);
    transfers.port1.post_message(text);
    destroys->port1.post_message(text);
  }
  adds.port1.post_message("3");
  deliver();
  CHECK(log == Log{"moved at 1", "destroyed at 1", "added"});
  CHECK(posts.port1.try_receive()->text() == "answer");
  CHECK_FALSE(closes.port1.is_open());
  CHECK_FALSE(destroys->port1.is_open());
  MessagePort arrived = std::move(carrier.port2.receive()->ports()[0]);
  CHECK(arrived.try_receive()->text() == "2");
}
