// SPDX-License-Identifier: Apache-2.0

// Shapes on top of ports: two halves, a sender for many threads, an answer that travels, a publisher whose
// subscribers may be slow, a pool whose workers may die, an answerer that cannot answer.
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "port/hand_over.hpp"
#include "support/body.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

struct Question {
  int number = 0;
  ReplyPort reply;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& reply;
  }
};

}  // namespace

TEST_CASE("the halves of a port work in two threads, and it closes with the last of them") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<Receiver> receiver;
  {
    auto [sender, receiving] = split(std::move(channel.port1));
    CHECK_FALSE(channel.port1.is_open());
    receiver.emplace(std::move(receiving));
    std::jthread poster([&posting = sender] {
      for (int i = 0; i < 1000; ++i) posting.post_message(i);
    });
    for (int i = 0; i < 1000; ++i) {
      Received received = channel.port2.receive();
      REQUIRE(received->data<int>() == i);
      channel.port2.post_message(received->data<int>());
    }
    for (int i = 0; i < 1000; ++i) REQUIRE(receiver->receive()->data<int>() == i);
  }
  CHECK(channel.port2.is_open());
  receiver.reset();
  CHECK(channel.port2.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("an answer comes from whoever has the reply port in the end, or its end is told") {
  const PortCensus census;
  MessageChannel first, second;
  ChildProcess broker =
      fork_with(ports_of(std::move(first.port2), std::move(second.port1)), [](Ports& ports) {
        while (Received received = ports[0].receive()) ports[1].post_message(received->data<Question>());
        return 0;
      });
  ChildProcess server = fork_with(ports_of(std::move(second.port2)), [](Ports& ports) {
    while (Received received = ports[0].receive()) {
      Question question = received->data<Question>();
      if (question.number == 0) continue;  // not answered
      question.reply.reply(question.number + 1);
      if (question.reply.is_open()) return 1;
    }
    return 0;
  });
  OneShot one = one_shot(), other = one_shot();
  first.port1.post_message(Question{41, std::move(one.port)});
  first.port1.post_message(Question{0, std::move(other.port)});
  CHECK(one.answer.receive()->data<int>() == 42);
  CHECK(one.answer.receive().status() == ReceiveStatus::closed);
  CHECK(other.answer.receive().status() == ReceiveStatus::closed);
  first.port1.close();
  CHECK(broker.wait() == ChildExit::exited(0));
  CHECK(server.wait() == ChildExit::exited(0));
}

TEST_CASE("a request that cannot be read, or on which the handler throws, is refused in words") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    int errors = 0;
    on_request<int>(ports[0], [](int number) {
      if (number < 0) throw std::runtime_error("it is\nnegative");
      return number + 1;
    });
    ports[0].on_message_error([&](MessageEvent& error) { errors += error.is_request() ? 0 : 1; });
    EventLoop::current().run();
    return errors;
  });
  const auto refusal = [&](auto&& value) -> std::string {
    try {
      static_cast<void>(channel.port1.request(value, RequestOptions{.timeout = kPatience}).get());
    } catch (const RequestError& error) {
      CHECK(error.status() == ReplyStatus::refused);
      CHECK(error.code() == std::errc::bad_message);
      return error.what();
    }
    return "answered";
  };
  CHECK(refusal("five").find("text") != std::string::npos);
  CHECK(refusal(-5).find("it is?negative") != std::string::npos);
  channel.port1.post_message(5);  // is dropped, since nobody asked
  CHECK(channel.port1.request(5, RequestOptions{.timeout = kPatience}).get().data<int>() == 6);
  std::string reason;
  channel.port1.request(-1, RequestOptions{.timeout = kPatience})
      .on_reply([](MessageEvent&) {}, [&](const RequestError& error) { reason = error.what(); });
  EventLoop::current().run();
  CHECK(reason.find("negative") != std::string::npos);
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(1));
}

TEST_CASE("a listener of messageerror answers a request that its handler cannot read, once") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<MessageEvent> later;
  channel.port2.on_message<int>([](int) {});
  channel.port2.on_message_error([&](MessageEvent& error) {
    if (error.what().empty()) return;
    if (later) error.reply("a number, please");
    later.emplace(std::move(error));
  });
  Reply first = channel.port1.request("one"), second = channel.port1.request("two");
  while (second.status() == ReplyStatus::pending) {
    static_cast<void>(EventLoop::current().poll());
    if (channel.port1.try_receive()) break;
  }
  CHECK(second.get().data<std::string>() == "a number, please");
  CHECK(first.status() == ReplyStatus::pending);
  CHECK_FALSE(later->is_request());
  CHECK_THROWS_AS(later->refuse("twice"), InvalidStateError);
}

TEST_CASE("a slow subscriber loses what its policy says, and the others nothing") {
  const PortCensus census;
  Publisher<int> publisher;
  std::map<SlowPolicy, MessagePort> slow;
  std::map<SlowPolicy, SubscriberId> ids;
  for (const SlowPolicy policy :
       {SlowPolicy::wait, SlowPolicy::drop_oldest, SlowPolicy::drop_newest, SlowPolicy::disconnect}) {
    MessageChannel channel;
    ids[policy] =
        publisher.add(std::move(channel.port1), {.policy = policy, .most_unread = 4, .patience = 1ms});
    slow[policy] = std::move(channel.port2);
  }
  MessageChannel quick;
  const SubscriberId id =
      publisher.add(std::move(quick.port1), {.policy = SlowPolicy::disconnect, .most_unread = 4});
  for (int i = 0; i < 12; ++i) {
    publisher.publish(i);
    CHECK(quick.port2.receive()->data<int>() == i);
  }
  CHECK(publisher.counters(id).posted == 12);
  CHECK(publisher.counters(id).dropped == 0);
  CHECK(publisher.counters(ids[SlowPolicy::wait]).waited == 8);
  CHECK(publisher.counters(ids[SlowPolicy::wait]).dropped == 8);
  CHECK(publisher.counters(ids[SlowPolicy::drop_newest]).dropped == 8);
  CHECK(publisher.counters(ids[SlowPolicy::drop_oldest]).dropped == 4);
  CHECK(publisher.disconnected() == 1);
  CHECK(publisher.size() == 4);
  for (int i = 0; i < 4; ++i) {
    for (auto& [policy, port] : slow) {
      CAPTURE(i);
      REQUIRE(port.receive()->data<int>() == i);
    }
  }
  CHECK(slow[SlowPolicy::disconnect].receive().status() == ReceiveStatus::closed);
  CHECK(slow[SlowPolicy::drop_newest].try_receive().status() == ReceiveStatus::empty);
  // What was held back goes out by itself: the newest four.
  std::vector<int> held;
  slow[SlowPolicy::drop_oldest].on_message<int>([&](int number) {
    held.push_back(number);
    if (held.size() == 4) slow[SlowPolicy::drop_oldest].close();
  });
  EventLoop::current().run();
  CHECK(held == std::vector{8, 9, 10, 11});
}

TEST_CASE("what a subscriber posts is heard, and whoever is disconnected is named") {
  const PortCensus census;
  Publisher<std::string> room;
  MessageChannel quick, slow, gone;
  const SubscriberId speaker = room.add(std::move(quick.port1));
  const SubscriberId sleeper =
      room.add(std::move(slow.port1), {.policy = SlowPolicy::disconnect, .most_unread = 2});
  const SubscriberId absent = room.add(std::move(gone.port1));
  gone.port2.close();
  std::vector<SubscriberId> told;
  room.on_disconnect([&](SubscriberId id) {
    CHECK(room.port(id) == nullptr);
    told.push_back(id);
  });
  room.port(speaker)->on_message<std::string>([&](const std::string& line) { room.publish(line); });
  room.port(speaker)->on_close([&] { room.remove(speaker); });
  std::vector<std::string> heard;
  quick.port2.on_message<std::string>([&](std::string line) {
    heard.push_back(std::move(line));
    if (heard.size() == 3) quick.port2.close();
  });
  for (const char* const line : {"one", "two", "three"}) quick.port2.post_message(line);
  EventLoop::current().run();
  CHECK(heard == std::vector<std::string>{"one", "two", "three"});
  CHECK(told == std::vector{absent, sleeper});
  CHECK(room.size() == 0);
  for (const char* const line : {"one", "two"}) CHECK(slow.port2.receive()->text() == line);
  CHECK(slow.port2.receive().status() == ReceiveStatus::closed);
}

TEST_CASE("subscribers in other processes see views of one buffer") {
  const PortCensus census;
  std::optional<Publisher<BufferView>> publisher(std::in_place);
  std::vector<ChildProcess> readers;
  for (int i = 0; i < 3; ++i) {
    MessageChannel channel;
    readers.push_back(fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
      int seen = 0;
      while (Received received = ports[0].receive()) {
        const BufferView view = received->data<BufferView>();
        PORTOLAN_CHILD_REQUIRE(view.size() == 4096 &&
                               view.bytes()[0] == std::byte{static_cast<unsigned char>(seen)});
        ++seen;
      }
      return seen == 5 ? 0 : 1;
    }));
    publisher->add(std::move(channel.port1), {.policy = SlowPolicy::wait, .patience = kPatience});
  }
  for (unsigned char i = 0; i < 5; ++i) {
    SharedBuffer frame(4096);
    frame.bytes()[0] = std::byte{i};
    frame = std::move(frame).read_only();
    publisher->publish(frame.view(0, 4096));
  }
  publisher.reset();
  for (ChildProcess& reader : readers) CHECK(reader.wait() == ChildExit::exited(0));
}

// As a worker that is writing its core file: the port has closed, and the process has not ended.
PORTOLAN_BODY(double_until_asked_to_hang) {
  MessagePort port = parent_port();
  bool hangs = false;
  port.on_message<int>([&](int number, MessageEvent& event) {
    if (number >= 0) return event.reply(number * 2);
    hangs = true;
    port.close();
  });
  EventLoop::current().run();
  while (hangs) ::pause();
  return 0;
}

TEST_CASE("a pool asks nobody whose port has closed, although he has the least to do") {
  const PortCensus census;
  WorkerPool pool(
      "/proc/self/exe",
      {.workers = 2, .arguments = {"--portolan-body", "double_until_asked_to_hang"}, .grace = 1ms});
  CHECK_THROWS_AS(static_cast<void>(pool.request(-1, {.timeout = kPatience}).get()), RequestError);
  for (int i = 0; i < 10; ++i) CHECK(pool.request(i, {.timeout = kPatience}).get().data<int>() == 2 * i);
  CHECK(pool.running() == 2);
}

PORTOLAN_BODY(double_until_killed) {
  MessagePort port = parent_port();
  port.on_message<int>([&](int number, MessageEvent& event) {
    if (number < 0) std::raise(SIGKILL);
    event.reply(number * 2);
  });
  EventLoop::current().run();
  return 0;
}

TEST_CASE("a pool starts a worker that has died again, and what it had not answered is closed") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe",
                    {.workers = 3, .arguments = {"--portolan-body", "double_until_killed"}});
    CHECK(pool.size() == 3);
    int answers = 0, closed = 0;
    const auto ask = [&](int number) {
      pool.request(number, {.timeout = kPatience})
          .on_reply(
              [&, number](MessageEvent& event) { answers += event.data<int>() == 2 * number ? 1 : 0; },
              [&](const RequestError& error) { closed += error.status() == ReplyStatus::closed ? 1 : 0; });
    };
    for (int round = 1; round <= 2; ++round) {
      for (int i = 0; i < 30; ++i) ask(i);
      ask(-1);
      while (pool.restarts() < static_cast<unsigned>(round) || pool.running() < 3 ||
             answers + closed < 31 * round)
        REQUIRE(EventLoop::current().run_one());
      CHECK(closed >= round);
    }
    const int before = answers;
    for (int i = 0; i < 30; ++i) ask(i);
    while (answers < before + 30) REQUIRE(EventLoop::current().run_one());
    pool.close();
    EventLoop::current().run();
  }
}

PORTOLAN_BODY(end_with_seven) {
  return 7;
}

TEST_CASE("a pool tells how each worker has ended, whoever listens besides, and starts it again") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe", {.workers = 1, .arguments = {"--portolan-body", "end_with_seven"}});
    int started = 0, ended = 0;
    pool.on_start([&](Worker& worker) {
      ++started;
      worker.on_exit([] {});  // takes nothing away from the pool
    });
    pool.on_exit([&](Worker& worker, ExitStatus status) {
      CHECK(worker.pid() > 0);
      CHECK(status.code == 7);
      ++ended;
    });
    while (pool.restarts() < 3) REQUIRE(EventLoop::current().run_one());
    CHECK(started >= 4);
    CHECK(ended >= 3);
    pool.close();
    EventLoop::current().run();
  }
}

TEST_CASE(
    "who waits for a pool whose only worker has died is called once another one is there, and one that is "
    "there at once") {
  const PortCensus census;
  {
    WorkerPool pool("/proc/self/exe",
                    {.workers = 1, .arguments = {"--portolan-body", "double_until_killed"}});
    bool there = false;
    pool.when_available([&] { there = true; });
    while (!there) REQUIRE(EventLoop::current().run_one());
    CHECK(pool.restarts() == 0);
    int refused = 0, answer = 0;
    pool.request(-1, {.timeout = kPatience})
        .on_reply([] {},
                  [&](const RequestError&) {
                    ++refused;
                    pool.when_available([&] {
                      pool.request(21, {.timeout = kPatience}).on_reply<int>([&](int doubled) {
                        answer = doubled;
                      });
                    });
                  });
    while (answer == 0) REQUIRE(EventLoop::current().run_one());
    CHECK(answer == 42);
    CHECK(refused == 1);
    CHECK(pool.restarts() == 1);
    pool.close();
    EventLoop::current().run();
  }
}
