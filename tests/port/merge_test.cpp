// SPDX-License-Identifier: Apache-2.0

// Two channels that become one: `elsewhere` is in another process, `here` in this one, and what lay between
// them is gone.
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr RequestOptions patiently() {
  return {.timeout = kPatience};
}

// A port that leads elsewhere, and the two ends of the channel that is to be merged with that.
struct Setup {
  explicit Setup(const ChannelOptions& options = {}) : far(options), near(options) {
    here = std::move(near.port1);
    between = std::move(near.port2);
  }
  MessageChannel far, near;
  MessagePort here, between;
};

void wait_for_message_on(MessagePort& port) {
  MessagePort* const ports[] = {&port};
  REQUIRE(wait_any(ports, kPatience) == 0);
}

// A text, and a port on which the same text waits.
void post_with_port(MessagePort& on, const std::string& text) {
  MessageChannel channel({.trust = on.info().trust});
  channel.port1.post_message(text);
  on.post_message(text, {.transfer = {channel.port2}});
}

bool is_with_port(MessageEvent& event, const std::string& text) {
  return event.text() == text && event.ports().size() == 1 && event.ports()[0].receive()->text() == text;
}

ReplyStatus outcome_of(Reply& reply) {
  try {
    static_cast<void>(reply.get());
  } catch (const RequestError& error) {
    return error.status();
  }
  return ReplyStatus::answered;
}

template <class F>
std::string refusal_of(F&& call) {
  try {
    call();
  } catch (const InvalidStateError& error) {
    return error.what();
  }
  return "not refused";
}

bool says(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "after a merge the peers talk to each other, and what was unread on both sides comes first, in order") {
  const PortCensus census;
  for (const Trust trust : {Trust::same_user, Trust::foreign})
    for (const bool in_order : {true, false}) {
      CAPTURE(in_order);
      Setup setup({.limit_bytes = 1 << 20, .trust = trust});
      ChildProcess child = fork_with(ports_of(std::move(setup.far.port2)), [](Ports& ports) {
        MessagePort& port = ports[0];
        port.post_message("elsewhere 0");
        post_with_port(port, "elsewhere 1");
        Received first = port.receive();
        PORTOLAN_CHILD_REQUIRE(is_with_port(*first, "here 0"));
        Received second = port.receive();
        PORTOLAN_CHILD_REQUIRE(second->bytes().size() == 300'000);
        PORTOLAN_CHILD_REQUIRE(port.receive()->data<std::vector<int>>() == std::vector({1, 2, 3}));
        while (Received message = port.receive()) port.post_message(message->data<int>() + 1);
        return 0;
      });
      wait_for_message_on(setup.far.port1);
      post_with_port(setup.here, "here 0");
      setup.here.post_message(pattern(300'000, 1));
      setup.here.post_message(std::vector({1, 2, 3}));
      setup.between.post_message("between 0");
      post_with_port(setup.between, "between 1");
      setup.between.post_message(pattern(300'000, 2));
      if (in_order)
        merge(std::move(setup.far.port1), std::move(setup.between));
      else
        merge(std::move(setup.between), std::move(setup.far.port1));
      CHECK_FALSE(setup.far.port1.is_open());
      CHECK_FALSE(setup.between.is_open());
      CHECK(setup.here.receive_for(kPatience)->text() == "between 0");
      Received with_port = setup.here.receive_for(kPatience);
      CHECK(is_with_port(*with_port, "between 1"));
      CHECK(setup.here.receive_for(kPatience)->bytes().size() == 300'000);
      with_port = Received();
      CHECK(setup.here.receive_for(kPatience)->text() == "elsewhere 0");
      with_port = setup.here.receive_for(kPatience);
      CHECK(is_with_port(*with_port, "elsewhere 1"));
      for (int i = 0; i < 100; ++i) {
        setup.here.post_message(i);
        REQUIRE(setup.here.receive_for(kPatience)->data<int>() == i + 1);
      }
      setup.here.close();
      CHECK(child.wait() == ChildExit::exited(0));
    }
}

TEST_CASE("a port goes on with its listeners over the merged channel, and sees the other peer die") {
  const PortCensus census;
  Setup setup;
  ChildProcess child = fork_with(ports_of(std::move(setup.far.port2)), [](Ports& ports) {
    for (int i = 0; i < 10; ++i) ports[0].post_message(ports[0].receive()->data<int>() * 2);
    std::raise(SIGKILL);
    return 0;
  });
  std::vector<int> seen;
  std::optional<CloseReason> reason;
  setup.here.on_message<int>([&](int number) { seen.push_back(number); });
  setup.here.on_close([&](CloseEvent& event) { reason = event.reason(); });
  setup.between.post_message(100);
  for (int i = 0; i < 10; ++i) setup.here.post_message(i);
  // In a listener, as whoever introduces two sides does.
  MessageChannel control;
  control.port2.on_message([&](MessageEvent&) {
    merge(std::move(setup.far.port1), std::move(setup.between));
    control.port2.close();
  });
  control.port1.post_message("now");
  EventLoop::current().run();
  CHECK(seen == std::vector({100, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18}));
  CHECK(reason == CloseReason::peer_died);
  CHECK(child.wait() == ChildExit::killed(SIGKILL));
}

TEST_CASE("requests that go on are answered by the other peer, and the others end") {
  const PortCensus census;
  Setup setup;
  ChildProcess child = fork_with(ports_of(std::move(setup.far.port2)), [](Ports& ports) {
    // Whatever numbers it had: this one is not the first.
    ports[0].post_message("first");
    Reply mine = ports[0].request("who?", patiently());
    PORTOLAN_CHILD_REQUIRE(mine.get().data<std::string>() == "here");
    while (Received request = ports[0].receive())
      if (request->is_request()) request->reply(std::string(request->text()) + "!");
    return 0;
  });
  Reply taken = setup.here.request("taken", patiently());
  Reply answered = setup.here.request("answered", patiently());
  Received in_hand = setup.between.receive();
  setup.between.receive()->reply("between");
  std::vector<Reply> going;
  for (int i = 0; i < 3; ++i) going.push_back(setup.here.request("go " + std::to_string(i), patiently()));
  Reply of_between = setup.between.request("late", patiently());
  Reply of_far = setup.far.port1.request("ignored", patiently());
  wait_for_message_on(setup.far.port1);
  merge(std::move(setup.far.port1), std::move(setup.between));
  CHECK(outcome_of(taken) == ReplyStatus::closed);
  CHECK(answered.get().data<std::string>() == "between");
  CHECK(outcome_of(of_between) == ReplyStatus::closed);
  CHECK(outcome_of(of_far) == ReplyStatus::detached);
  Received late = setup.here.receive_for(kPatience);
  CHECK(late->text() == "late");
  MessageChannel along;
  late->reply("nobody", {.transfer = {along.port2}});
  CHECK(along.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK_FALSE(late->is_request());
  CHECK(setup.here.receive_for(kPatience)->text() == "first");
  setup.here.receive_for(kPatience)->reply("here");
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(going[i].get().data<std::string>() == "go " + std::to_string(i) + "!");
  CHECK(setup.here.request("new", patiently()).get().data<std::string>() == "new!");
  CHECK(setup.here.pending_requests() == 0);
  setup.here.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a merge that cannot be says why, and leaves both ports as they were") {
  const PortCensus census;
  MessageChannel one, two;
  ChildProcess child = fork_with(ports_of(std::move(one.port2), std::move(two.port2)), [](Ports& ports) {
    PORTOLAN_CHILD_REQUIRE(ports[0].receive_for(kPatience)->text() == "still there");
    return 0;
  });
  CHECK(says(refusal_of([&] { merge(std::move(one.port1), std::move(two.port1)); }),
             "neither peer is a port of this process"));
  MessageChannel near, foreign({.trust = Trust::foreign});
  CHECK(says(refusal_of([&] { merge(std::move(near.port1), std::move(near.port2)); }), "of one channel"));
  CHECK(says(refusal_of([&] { merge(std::move(near.port1), std::move(foreign.port1)); }), "Trust"));
  MessagePort none;
  CHECK(says(refusal_of([&] { merge(std::move(one.port1), std::move(none)); }), "detached"));
  near.port2.post_message("in hand");
  {
    const Received in_hand = near.port1.receive();
    CHECK(says(refusal_of([&] { merge(std::move(one.port1), std::move(near.port2)); }),
               "has an event or a reply in hand"));
  }
  {
    const Space space = near.port1.reserve(8);
    CHECK(says(refusal_of([&] { merge(std::move(one.port1), std::move(near.port2)); }), "Space"));
    CHECK(says(refusal_of([&] { merge(std::move(near.port1), std::move(one.port1)); }), "Space"));
  }
  std::jthread([&] {
    near.port1.attach(EventLoop::current());
    std::jthread([&] {
      CHECK(says(refusal_of([&] { merge(std::move(one.port1), std::move(near.port2)); }), "thread's loop"));
    }).join();
  }).join();
  one.port1.post_message("still there");
  near.port1.post_message("here too");
  CHECK(near.port2.receive_for(kPatience)->text() == "here too");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE(
    "a merge that finds the other channel full goes on once there is room, and nothing is lost or repeated") {
  const PortCensus census;
  Setup setup;
  MessageChannel narrow({.limit_bytes = 64 << 10}), go;
  ChildProcess child = fork_with(ports_of(std::move(narrow.port2), std::move(go.port2)), [](Ports& ports) {
    static_cast<void>(ports[1].receive());
    for (int i = 0; i < 300; ++i) {
      Received message = ports[0].receive();
      PORTOLAN_CHILD_REQUIRE(message->bytes().size() == 1000 + static_cast<std::size_t>(i));
      PORTOLAN_CHILD_REQUIRE(message->ports().size() == (i < 100 ? 1U : 0U));
    }
    return 0;
  });
  for (std::size_t i = 0; i < 300; ++i) {
    MessageChannel along;
    PostOptions options;
    if (i < 100) options.transfer = {along.port2};
    setup.here.post_message(pattern(1000 + i, i), std::move(options));
  }
  setup.between.post_message("in front");
  CHECK_THROWS_AS(merge(std::move(narrow.port1), std::move(setup.between)), QueueFullError);
  CHECK(narrow.port1.is_open());
  CHECK(setup.between.is_open());
  go.port1.post_message("read");
  for (bool merged = false; !merged;) {
    try {
      merge(std::move(narrow.port1), std::move(setup.between));
      merged = true;
    } catch (const QueueFullError&) {
      std::this_thread::yield();
    }
  }
  CHECK(setup.here.receive()->text() == "in front");
  CHECK(child.wait() == ChildExit::exited(0));
  CHECK(setup.here.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("a port that has changed channels moves on once it has received what came with it") {
  const PortCensus census;
  Setup setup;
  MessageChannel carrier;
  ChildProcess child = fork_with(ports_of(std::move(setup.far.port2)), [](Ports& ports) {
    ports[0].post_message("from elsewhere");
    PORTOLAN_CHILD_REQUIRE(ports[0].receive()->text() == "from the new owner");
    return 0;
  });
  ChildProcess owner = fork_with(ports_of(std::move(carrier.port2)), [](Ports& ports) {
    Received received = ports[0].receive();
    MessagePort port = std::move(received->ports()[0]);
    PORTOLAN_CHILD_REQUIRE(port.receive()->text() == "from elsewhere");
    port.post_message("from the new owner");
    return 0;
  });
  setup.between.post_message("before");
  Drained before = setup.here.drained();
  setup.here.post_message("unread");
  static_cast<void>(setup.between.receive());
  wait_for_message_on(setup.far.port1);
  merge(std::move(setup.far.port1), std::move(setup.between));
  CHECK(before.get());
  CHECK_THROWS_AS(carrier.port1.post_message("yours", {.transfer = {setup.here}}), DataCloneError);
  Message kept = std::move(*setup.here.receive()).keep();
  carrier.port1.post_message("yours", {.transfer = {setup.here}});
  CHECK(kept.text() == "before");
  CHECK(owner.wait() == ChildExit::exited(0));
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("drained() of a port that changes channels ends when the other peer has read what went on") {
  const PortCensus census;
  Setup setup;
  MessageChannel go;
  ChildProcess child = fork_with(ports_of(std::move(setup.far.port2), std::move(go.port2)), [](Ports& ports) {
    static_cast<void>(ports[1].receive());
    for (int i = 0; i < 3; ++i) PORTOLAN_CHILD_REQUIRE(ports[0].receive()->data<int>() == i);
    return ports[0].receive() ? 1 : 0;
  });
  for (int i = 0; i < 3; ++i) setup.here.post_message(i);
  Drained drained = setup.here.drained();
  merge(std::move(setup.far.port1), std::move(setup.between));
  CHECK_FALSE(drained.done());
  go.port1.post_message("read");
  CHECK(drained.get());
  setup.here.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("the type of a value that went on is told by its name to whoever reads it as another one") {
  const PortCensus census;
  Setup setup;
  setup.here.post_message(std::vector({1, 2, 3}));
  MessagePort elsewhere = std::move(setup.far.port2);
  merge(std::move(setup.far.port1), std::move(setup.between));
  Received received = elsewhere.receive();
  std::string error;
  try {
    static_cast<void>(received->data<double>());
  } catch (const DataCloneError& thrown) {
    error = thrown.what();
  }
  CAPTURE(error);
  CHECK(says(error, "vector"));
}

TEST_CASE("a port may change channels again and again, and events outlive it") {
  const PortCensus census;
  std::optional<MessagePort> here;
  MessageChannel first;
  here = std::move(first.port1);
  MessagePort between = std::move(first.port2);
  Received in_hand;
  for (int i = 0; i < 50; ++i) {
    MessageChannel next;
    between.post_message(2 * i);
    next.port2.post_message(2 * i + 1);
    merge(std::move(next.port1), std::move(between));
    between = std::move(next.port2);
    REQUIRE(here->receive()->data<int>() == 2 * i);
    REQUIRE(here->receive()->data<int>() == 2 * i + 1);
    here->post_message(i);
    REQUIRE(between.receive()->data<int>() == i);
  }
  MessageChannel last;
  between.post_message("outlives it");
  merge(std::move(last.port1), std::move(between));
  in_hand = here->receive();
  here.reset();
  CHECK(in_hand->text() == "outlives it");
  CHECK(last.port2.receive().status() == ReceiveStatus::closed);
}
