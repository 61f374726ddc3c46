// SPDX-License-Identifier: Apache-2.0

// Targets and listeners: the DOM's dispatch rules.
#include <doctest/doctest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <portolan/close_event.hpp>
#include <portolan/error.hpp>
#include <portolan/event_loop.hpp>
#include <portolan/event_target.hpp>

#include "port/listeners.hpp"

using namespace portolan;

namespace {

struct Target : EventTarget {
  using EventTarget::has_listener;
  template <class F>
  void on_ping(F handler) {
    set_handler("ping", as_callback(std::move(handler)));
  }
  void no_ping() { set_handler("ping", {}); }
};

// Dispatches a fresh event and tells which listeners ran.
std::string ping(EventTarget& target, std::string& log) {
  log.clear();
  Event event("ping");
  target.dispatch_event(event);
  return log;
}

}  // namespace

TEST_CASE("listeners run in the order they were added, capture first, and only for their type") {
  Target target;
  std::string log;
  target.add_event_listener("ping", [&](Event&) { log += 'a'; });
  target.add_event_listener("ping", [&] { log += 'b'; }, {.capture = true});
  target.add_event_listener("pong", [&] { log += 'x'; });
  target.add_event_listener("ping", [&] { log += 'c'; });
  target.add_event_listener("ping", [&] { log += 'd'; }, {.capture = true});
  CHECK(ping(target, log) == "bdac");
}

TEST_CASE("the same callable added twice is two listeners with two ids") {
  Target target;
  std::string log;
  const auto listener = [&] { log += 'a'; };
  const ListenerId first = target.add_event_listener("ping", listener);
  const ListenerId second = target.add_event_listener("ping", listener);
  CHECK(first != second);
  CHECK(ping(target, log) == "aa");
  target.remove_event_listener(first);
  CHECK(ping(target, log) == "a");
  target.remove_event_listener(first);
  target.remove_event_listener(ListenerId{999});
  CHECK(ping(target, log) == "a");
}

TEST_CASE("a listener added during a dispatch does not run for that event") {
  Target target;
  std::string log;
  target.add_event_listener("ping", [&] {
    log += 'a';
    for (int i = 0; i < 100; ++i) target.add_event_listener("ping", [&] { log += 'n'; }, {.once = true});
  });
  CHECK(ping(target, log) == "a");
  CHECK(ping(target, log) == "a" + std::string(100, 'n'));
}

TEST_CASE("a listener removed during a dispatch and not yet reached does not run") {
  Target target;
  std::string log;
  ListenerId second{};
  target.add_event_listener("ping", [&] { target.remove_event_listener(second); });
  second = target.add_event_listener("ping", [&] { log += 'b'; });
  target.add_event_listener("ping", [&] { log += 'c'; });
  CHECK(ping(target, log) == "c");
}

TEST_CASE("a listener that removes itself finishes its call with what it owns") {
  Target target;
  ListenerId id{};
  auto owned = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = owned;
  int seen = 0;
  id = target.add_event_listener("ping", [&, owned = std::move(owned)] {
    target.remove_event_listener(id);
    seen = *owned;
  });
  Event event("ping");
  target.dispatch_event(event);
  CHECK(seen == 7);
  CHECK(watched.expired());
}

TEST_CASE(
    "a once listener is removed before its call, so that dispatching from within does not call it again") {
  Target target;
  std::string log;
  target.add_event_listener("ping",
                            [&] {
                              log += 'o';
                              Event inner("ping");
                              target.dispatch_event(inner);
                            },
                            {.once = true});
  target.add_event_listener("ping", [&] { log += 'p'; });
  CHECK(ping(target, log) == "opp");
  CHECK(ping(target, log) == "p");
}

TEST_CASE("a stopped signal silences its listener, and one that is stopped already adds nothing") {
  Target target;
  std::string log;
  std::stop_source source;
  target.add_event_listener("ping", [&] { log += 's'; }, {.signal = source.get_token()});
  CHECK(target.has_listener("ping"));
  CHECK(ping(target, log) == "s");
  source.request_stop();
  CHECK_FALSE(target.has_listener("ping"));
  CHECK(ping(target, log).empty());
  CHECK(target.add_event_listener("ping", [] {}, {.signal = source.get_token()}) == ListenerId::none);
}

TEST_CASE("only a cancelable event is cancelled, and not by a passive listener") {
  Target target;
  target.add_event_listener("a", [](Event& event) { event.prevent_default(); });
  target.add_event_listener("p", [](Event& event) { event.prevent_default(); }, {.passive = true});
  Event plain("a");
  CHECK(target.dispatch_event(plain));
  Event cancelable("a", {.cancelable = true});
  CHECK_FALSE(target.dispatch_event(cancelable));
  CHECK(cancelable.default_prevented());
  Event passive("p", {.cancelable = true});
  CHECK(target.dispatch_event(passive));
}

TEST_CASE("stop_immediate_propagation stops the rest; stop_propagation while capturing stops the others") {
  Target target;
  std::string log;
  bool immediate = false;
  bool plain = false;
  target.add_event_listener("ping",
                            [&](Event& event) {
                              if (immediate) event.stop_immediate_propagation();
                              if (plain) event.stop_propagation();
                            },
                            {.capture = true});
  target.add_event_listener("ping", [&] { log += 'c'; }, {.capture = true});
  target.add_event_listener("ping", [&] { log += 'b'; });
  CHECK(ping(target, log) == "cb");
  plain = true;
  CHECK(ping(target, log) == "c");
  immediate = true;
  CHECK(ping(target, log).empty());
}

TEST_CASE("stop_propagation in a listener that does not capture stops nobody") {
  Target target;
  std::string log;
  target.add_event_listener("ping", [&](Event& event) { event.stop_propagation(); });
  target.add_event_listener("ping", [&] { log += 'b'; });
  CHECK(ping(target, log) == "b");
}

TEST_CASE(
    "an event knows its target and phase during the dispatch, keeps the target, and may be used again") {
  Target target;
  Event event("ping");
  CHECK(event.target() == nullptr);
  int calls = 0;
  target.add_event_listener("ping", [&](Event& seen) {
    ++calls;
    CHECK(seen.target() == &target);
    CHECK(seen.current_target() == &target);
    CHECK(seen.event_phase() == EventPhase::at_target);
    CHECK_FALSE(seen.is_trusted());
    seen.stop_immediate_propagation();
  });
  target.dispatch_event(event);
  CHECK(event.target() == &target);
  CHECK(event.current_target() == nullptr);
  CHECK(event.event_phase() == EventPhase::none);
  target.dispatch_event(event);
  CHECK(calls == 2);
}

TEST_CASE("an event that is being dispatched is not dispatched again") {
  Target target;
  bool refused = false;
  target.add_event_listener("ping", [&](Event& event) {
    try {
      target.dispatch_event(event);
    } catch (const InvalidStateError&) {
      refused = true;
    }
  });
  Event event("ping");
  target.dispatch_event(event);
  CHECK(refused);
}

TEST_CASE("the library's own events are trusted until somebody dispatches them himself") {
  Target target;
  CloseEvent event(CloseReason::peer_died);
  std::vector<bool> trusted;
  target.add_event_listener("close", [&](CloseEvent& seen) {
    trusted.push_back(seen.is_trusted());
    CHECK(seen.reason() == CloseReason::peer_died);
  });
  port::EventTargetAccess::listeners(target)->dispatch(event);
  target.dispatch_event(event);
  CHECK(trusted == std::vector{true, false});
}

TEST_CASE("a listener for a derived event fails on another one, and the others run") {
  Target target;
  std::string log;
  target.add_event_listener("close", [&](CloseEvent&) { log += 'x'; });
  target.add_event_listener("close", [&](const Event&) { log += 'e'; });
  Event event("close");
  CHECK_THROWS_AS(target.dispatch_event(event), std::bad_cast);
  CHECK(log == "e");
}

TEST_CASE("an exception stops no other listener; outside of the loop the first one comes out at the end") {
  Target target;
  std::string log;
  target.add_event_listener("ping", [&] { throw std::runtime_error("first"); });
  target.add_event_listener("ping", [&] { log += 'b'; });
  target.add_event_listener("ping", [&] { throw std::runtime_error("second"); });
  target.add_event_listener("ping", [&] { log += 'd'; });
  Event event("ping");
  CHECK_THROWS_WITH(target.dispatch_event(event), "first");
  CHECK(log == "bd");
  CHECK(event.event_phase() == EventPhase::none);
}

TEST_CASE("an exception handler takes the exceptions of all listeners") {
  Target target;
  int taken = 0;
  EventLoop::current().set_exception_handler([&](const std::exception_ptr&) { ++taken; });
  target.add_event_listener("ping", [] { throw std::runtime_error("first"); });
  target.add_event_listener("ping", [] { throw std::runtime_error("second"); });
  Event event("ping");
  CHECK(target.dispatch_event(event));
  CHECK(taken == 2);
  EventLoop::current().set_exception_handler({});
}

TEST_CASE("a handler keeps its place when it is replaced, and loses it when it is removed") {
  Target target;
  std::string log;
  target.on_ping([&] { log += '1'; });
  target.add_event_listener("ping", [&] { log += 'b'; });
  target.on_ping([&] { log += '2'; });
  CHECK(ping(target, log) == "2b");
  target.no_ping();
  CHECK(ping(target, log) == "b");
  target.on_ping([&] { log += '3'; });
  CHECK(ping(target, log) == "b3");
}

TEST_CASE("a handler that replaces itself finishes its call with what it owns") {
  Target target;
  std::string log;
  target.on_ping([&, own = std::string("a long enough string to live on the heap")] {
    target.on_ping([&] { log += 'n'; });
    log += own[0];
  });
  CHECK(ping(target, log) == "a");
  CHECK(ping(target, log) == "n");
}

TEST_CASE("listeners come along when a target moves, also from within a listener") {
  Target target;
  std::optional<Target> elsewhere;
  std::string log;
  target.add_event_listener("ping", [&](Event& event) {
    log += 'a';
    if (elsewhere) return;
    elsewhere.emplace(std::move(target));
    CHECK(event.target() == &*elsewhere);
  });
  target.add_event_listener("ping", [&](Event& event) {
    log += 'b';
    CHECK(event.current_target() == &*elsewhere);
  });
  CHECK(ping(target, log) == "ab");
  CHECK(ping(*elsewhere, log) == "ab");
  CHECK(ping(target, log).empty());
}

TEST_CASE("a target destroyed by its listener runs no further ones") {
  auto target = std::make_unique<Target>();
  std::string log;
  target->add_event_listener("ping", [&, own = std::string("a long enough string to live on the heap")] {
    target.reset();
    log += own[0];
  });
  target->add_event_listener("ping", [&] { log += 'b'; });
  Event event("ping");
  target->dispatch_event(event);
  CHECK(log == "a");
  CHECK(event.target() == nullptr);
}

TEST_CASE("a target assigned over within its listener loses what it had") {
  Target target;
  Target other;
  std::string log;
  target.add_event_listener("ping", [&] {
    log += 'a';
    target = std::move(other);
  });
  target.add_event_listener("ping", [&] { log += 'b'; });
  other.add_event_listener("ping", [&] { log += 'o'; });
  CHECK(ping(target, log) == "a");
  CHECK(ping(target, log) == "o");
}

TEST_CASE("what a listener owns may use the target when it is destroyed") {
  struct AddsOne {
    Target* target = nullptr;
    std::string* log = nullptr;
    AddsOne(Target& t, std::string& l) : target(&t), log(&l) {}
    AddsOne(AddsOne&& other) noexcept : target(std::exchange(other.target, nullptr)), log(other.log) {}
    ~AddsOne() {
      if (target != nullptr) target->add_event_listener("ping", [l = log] { *l += 'n'; });
    }
  };
  Target target;
  std::string log;
  target.add_event_listener("ping", [own = AddsOne(target, log)] {}, {.once = true});
  CHECK(ping(target, log).empty());
  CHECK(ping(target, log) == "n");
}
