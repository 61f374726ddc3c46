// SPDX-License-Identifier: Apache-2.0

// Requests and replies between real processes: each reply finds its request, whatever lies in front of it,
// and a request that can have none says why.
#include <chrono>
#include <csignal>
#include <cstring>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "port/hand_over.hpp"
#include "support/condition.hpp"
#include "support/watchdog.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

constexpr RequestOptions kPatient() {
  return {.timeout = kPatience};
}

// Answers each number with the next one, until the port closes.
int count_on(MessagePort& port) {
  while (Received request = port.receive()) {
    if (!request->is_request()) return 1;
    request->reply(request->data<int>() + 1);
    if (request->is_request()) return 2;
  }
  return 0;
}

bool shows(MessageEvent& event, std::size_t size) {
  return event.bytes().size() == size &&
         std::memcmp(event.bytes().data(), pattern(size, size).data(), size) == 0;
}

ReplyStatus error_of(Reply& reply) {
  const Waits waits("a Reply's end");
  try {
    static_cast<void>(reply.get());
  } catch (const RequestError& error) {
    return error.status();
  }
  return ReplyStatus::answered;
}

}  // namespace

TEST_CASE("many requests are under way at once, and each finds its own reply") {
  const PortCensus census;
  for (const Trust trust : {Trust::same_user, Trust::foreign}) {
    MessageChannel channel({.trust = trust});
    ChildProcess child =
        fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) { return count_on(ports[0]); });
    CHECK(channel.port1.request(1, kPatient()).get().data<int>() == 2);
    std::vector<Reply> replies;
    for (int i = 0; i < 1000; ++i) replies.push_back(channel.port1.request(i, kPatient()));
    for (int i = 999; i >= 0; i -= 2) CHECK(replies[static_cast<std::size_t>(i)].get().data<int>() == i + 1);
    for (int i = 0; i < 1000; i += 2) CHECK(replies[static_cast<std::size_t>(i)].get().data<int>() == i + 1);
    CHECK(channel.port1.info().late_replies == 0);
    channel.port1.close();
    CHECK(child.wait() == ChildExit::exited(0));
  }
}

TEST_CASE("requests that are answered in another order than they were asked find their own replies") {
  MessageChannel channel;
  Reply first = channel.port1.request(1, kPatient()), second = channel.port1.request(2, kPatient());
  Received asked_first = channel.port2.receive();
  channel.port2.receive()->reply("second");
  asked_first->reply("first");
  CHECK(first.get().data<std::string>() == "first");
  CHECK(second.get().data<std::string>() == "second");
}

TEST_CASE("a reply may be of any size and bring ports, and so may a request") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    while (Received request = ports[0].receive()) {
      MessagePort travelled = std::move(request->ports()[0]);
      travelled.post_message("seen");
      request->reply(request->bytes(), {.transfer = {travelled}});
    }
    return 0;
  });
  for (const std::size_t size : {0u, 1u, 8u, 600u, 40'000u, 300'000u}) {
    CAPTURE(size);
    MessageChannel other;
    MessageEvent reply =
        channel.port1.request(pattern(size, size), {.transfer = {other.port2}, .timeout = kPatience}).get();
    CHECK(shows(reply, size));
    REQUIRE(reply.ports().size() == 1);
    CHECK(other.port1.receive()->text() == "seen");
    other.port1.post_message("back");
    CHECK(reply.ports()[0].receive()->text() == "back");
  }
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a reply behind unread messages is taken, and they stay in their order with their ports") {
  const PortCensus census;
  for (const Trust trust : {Trust::same_user, Trust::foreign})
    for (const std::size_t size : {4u, 40'000u, 300'000u}) {
      CAPTURE(size);
      MessageChannel channel({.limit_bytes = 1 << 20, .trust = trust});
      ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [size](Ports& ports) {
        Received request = ports[0].receive();
        MessageChannel first({.trust = ports[0].info().trust}), last({.trust = ports[0].info().trust});
        first.port1.post_message("first");
        last.port1.post_message("last");
        ports[0].post_message("one", {.transfer = {first.port2}});
        ports[0].post_message(pattern(70'000, 70'000));
        request->reply(pattern(size, size), {.transfer = {last.port2}});
        ports[0].post_message("three");
        static_cast<void>(ports[0].receive());
        return 0;
      });
      MessageEvent reply = channel.port1.request("give", kPatient()).get();
      CHECK(shows(reply, size));
      REQUIRE(reply.ports().size() == 1);
      CHECK(reply.ports()[0].receive()->text() == "last");
      Received one = channel.port1.receive();
      CHECK(one->text() == "one");
      REQUIRE(one->ports().size() == 1);
      CHECK(one->ports()[0].receive()->text() == "first");
      Received two = channel.port1.receive();
      CHECK(shows(*two, 70'000));
      CHECK(channel.port1.receive()->text() == "three");
      CHECK(channel.port1.info().late_replies == 0);
      channel.port1.close();
      CHECK(child.wait() == ChildExit::exited(0));
    }
}

TEST_CASE("get() in a listener loses and reorders nothing") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (int i = 0; i < 100; ++i) {
      ports[0].post_message(2 * i);
      ports[0].post_message(2 * i + 1);
      Received request = ports[0].receive();
      request->reply(request->data<int>());
    }
    return 0;
  });
  int next = 0;
  channel.port1.on_message<int>([&](int number) {
    CHECK(number == next++);
    if (number % 2 == 0) CHECK(channel.port1.request(number, kPatient()).get().data<int>() == number);
  });
  EventLoop::current().run();
  CHECK(next == 200);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a request waits in the loop without enabling the queue, and keeps run going") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    Received request = ports[0].receive();
    ports[0].post_message("in front");
    std::this_thread::sleep_for(30ms);  // long enough for the loop to sleep deeply
    request->reply(7);
    static_cast<void>(ports[0].receive());
    return 0;
  });
  int answer = 0;
  channel.port1.request("seven", kPatient()).on_reply<int>([&](int number) { answer = number; });
  CHECK(runs_out());
  CHECK(answer == 7);
  CHECK(channel.port1.receive_for(kPatience)->text() == "in front");
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("with the queue enabled a reply comes in its turn among the messages") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    Received request = ports[0].receive();
    ports[0].post_message("a");
    request->reply("b");
    ports[0].post_message("c");
    return 0;
  });
  std::string order;
  channel.port1.on_message([&](MessageEvent& event) { order += event.text(); });
  channel.port1.request("go").on_reply([&](MessageEvent& event) { order += event.text(); });
  EventLoop::current().run();
  CHECK(order == "abc");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a reply that comes too late is dropped with its ports and counted") {
  const PortCensus census;
  MessageChannel channel, other;
  ChildProcess child =
      fork_with(ports_of(std::move(channel.port2), std::move(other.port2)), [](Ports& ports) {
        Received request = ports[0].receive();
        Received go = ports[0].receive();
        request->reply("late", {.transfer = {ports[1]}});
        go->reply("in time");
        while (ports[0].receive()) {
        }
        return 0;
      });
  Reply slow = channel.port1.request("slow", {.timeout = 10ms});
  CHECK(error_of(slow) == ReplyStatus::timed_out);
  CHECK_THROWS_AS(static_cast<void>(slow.get()), InvalidStateError);
  CHECK(channel.port1.request("go", kPatient()).get().data<std::string>() == "in time");
  CHECK(channel.port1.info().late_replies == 1);
  CHECK(other.port1.receive_for(kPatience).status() == ReceiveStatus::closed);
  bool timed_out = false, reached = false;
  EventLoop::current().set_exception_handler([&](std::exception_ptr) { reached = true; });
  channel.port1.request("never", {.timeout = 1ms})
      .on_reply([](MessageEvent&) {},
                [&](const RequestError& error) { timed_out = error.code() == std::errc::timed_out; });
  channel.port1.request("never", {.timeout = 1ms}).on_reply([](MessageEvent&) {});
  CHECK(runs_out());
  EventLoop::current().set_exception_handler({});
  CHECK(timed_out);
  CHECK(reached);
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a request whose other side dies or closes says so, behind what was answered") {
  const PortCensus census;
  for (const bool dies : {true, false}) {
    MessageChannel channel;
    ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [dies](Ports& ports) {
      Received first = ports[0].receive();
      static_cast<void>(ports[0].receive());
      first->reply("one");
      if (dies) std::raise(SIGKILL);
      return 0;
    });
    Reply answered = channel.port1.request(1, kPatient());
    Reply waits = channel.port1.request(2, kPatient());
    std::optional<ReplyStatus> in_loop;
    channel.port1.request(3, kPatient())
        .on_reply([](MessageEvent&) {}, [&](const RequestError& error) { in_loop = error.status(); });
    CHECK(error_of(waits) == ReplyStatus::closed);
    CHECK(answered.get().data<std::string>() == "one");
    CHECK(runs_out());
    CHECK(in_loop == ReplyStatus::closed);
    Reply afterwards = channel.port1.request(4);
    CHECK(error_of(afterwards) == ReplyStatus::closed);
    CHECK(child.wait() == (dies ? ChildExit::killed(SIGKILL) : ChildExit::exited(0)));
  }
}

TEST_CASE("requests that find the channel closed leave an earlier one its reply") {
  const PortCensus census;
  MessageChannel channel;
  Reply answered = channel.port1.request("first", kPatient());
  channel.port2.receive()->reply("one");
  channel.port2.close();
  for (int i = 0; i < 2; ++i) {
    Reply refused = channel.port1.request("too late", kPatient());
    CHECK(error_of(refused) == ReplyStatus::closed);
  }
  CHECK(answered.get().data<std::string>() == "one");
}

TEST_CASE("requests of a port that moves on fail here, and their replies are late there") {
  const PortCensus census;
  MessageChannel channel, carrier;
  Reply pending = channel.port1.request("question", kPatient());
  std::optional<ReplyStatus> in_loop;
  channel.port1.request("another").on_reply([](MessageEvent&) {},
                                            [&](const RequestError& error) { in_loop = error.status(); });
  Received question = channel.port2.receive();
  channel.port2.post_message("unread");
  question->reply("answer");
  carrier.port1.post_message("on", {.transfer = {channel.port1}});
  MessagePort moved = std::move(carrier.port2.receive()->ports()[0]);
  EventLoop::current().run();
  CHECK(in_loop == ReplyStatus::detached);
  CHECK(error_of(pending) == ReplyStatus::detached);
  CHECK(moved.receive()->text() == "unread");
  Reply own = moved.request("own", kPatient());
  static_cast<void>(channel.port2.receive());
  channel.port2.receive()->reply("for you");
  CHECK(own.get().data<std::string>() == "for you");
  CHECK(moved.info().late_replies == 1);
}

TEST_CASE("a reply that was taken ahead comes once, also if the port moves on before its turn") {
  const PortCensus census;
  MessageChannel channel, carrier;
  Reply reply = channel.port1.request("question", kPatient());
  Received question = channel.port2.receive();
  channel.port2.post_message("unread");
  question->reply("answer");
  channel.port2.post_message("behind");
  CHECK(reply.get().data<std::string>() == "answer");
  SUBCASE("it stays") {
    CHECK(channel.port1.receive()->text() == "unread");
    CHECK(channel.port1.receive()->text() == "behind");
    CHECK(channel.port1.info().late_replies == 0);
    CHECK(channel.port2.buffered_amount().messages == 0);
  }
  SUBCASE("it moves") {
    carrier.port1.post_message("on", {.transfer = {channel.port1}});
    MessagePort moved = std::move(carrier.port2.receive()->ports()[0]);
    CHECK(moved.receive()->text() == "unread");
    CHECK(moved.receive()->text() == "behind");
    CHECK(moved.info().late_replies == 1);
  }
}

TEST_CASE("a port cannot move while messages lie in it whose ports were taken for a reply behind them") {
  const PortCensus census;
  MessageChannel channel, in_front, behind, carrier;
  Reply reply = channel.port1.request("question", kPatient());
  Received question = channel.port2.receive();
  channel.port2.post_message("unread", {.transfer = {in_front.port2}});
  question->reply("answer", {.transfer = {behind.port2}});
  CHECK(reply.get().ports().size() == 1);
  CHECK_THROWS_AS(carrier.port1.post_message("on", {.transfer = {channel.port1}}), DataCloneError);
  CHECK(channel.port1.receive()->ports().size() == 1);
  carrier.port1.post_message("on", {.transfer = {channel.port1}});
  CHECK(carrier.port2.receive()->ports().size() == 1);
}

TEST_CASE("what is no request cannot be answered, and a request only once") {
  MessageChannel channel;
  channel.port1.post_message("plain");
  Received plain = channel.port2.receive();
  CHECK_FALSE(plain->is_request());
  CHECK_THROWS_AS(plain->reply(1), InvalidStateError);
  Reply reply = channel.port1.request("asked");
  Received asked = channel.port2.receive();
  CHECK(asked->is_request());
  asked->reply(1);
  CHECK_THROWS_AS(asked->reply(2), InvalidStateError);
  CHECK(reply.get().data<int>() == 1);
}

TEST_CASE("a request that finds no room keeps its list, and asks nobody") {
  MessageChannel channel({.limit_bytes = 64 << 10}), other;
  const std::vector<std::byte> block(2000);
  while (channel.port1.try_post_message(block) == PostResult::posted) {
  }
  CHECK_THROWS_AS(static_cast<void>(channel.port1.request(block, {.transfer = {other.port2}})),
                  QueueFullError);
  CHECK(other.port2.is_open());
  channel.port1.close();
  Reply closed = channel.port1.request(block, {.transfer = {other.port2}});
  CHECK(error_of(closed) == ReplyStatus::closed);
  CHECK_FALSE(other.port2.is_open());
  Reply detached = MessagePort().request(1);
  CHECK(error_of(detached) == ReplyStatus::detached);
}

TEST_CASE("a Reply that is dropped gives its request up, and one that is cancelled says so") {
  MessageChannel channel;
  {
    const Reply dropped = channel.port1.request("dropped");
    CHECK(dropped.status() == ReplyStatus::pending);
  }
  Reply cancelled = channel.port1.request("cancelled");
  cancelled.cancel();
  CHECK(error_of(cancelled) == ReplyStatus::timed_out);
  channel.port2.receive_for(kPatience)->reply(1);
  channel.port2.receive_for(kPatience)->reply(2);
  CHECK(channel.port1.try_receive().status() == ReceiveStatus::empty);
  CHECK(channel.port1.info().late_replies == 2);
  std::optional<ReplyStatus> in_loop;
  Reply waits = channel.port1.request("waited for");
  waits.on_reply([](MessageEvent&) {}, [&](const RequestError& error) { in_loop = error.status(); });
  waits.cancel();
  CHECK(runs_out());
  CHECK(in_loop == ReplyStatus::timed_out);
}

TEST_CASE("close() from another thread ends a get()") {
  const PortCensus census;
  MessageChannel channel;
  Reply reply = channel.port1.request("question");
  channel.port2.post_message("in front, or not");
  std::thread closer([&] {
    std::this_thread::sleep_for(20ms);
    channel.port1.close();
  });
  CHECK(error_of(reply) == ReplyStatus::closed);
  closer.join();
}
