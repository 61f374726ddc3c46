// SPDX-License-Identifier: Apache-2.0

// Shapes on top of ports: two halves, a sender for many threads, an answer that travels, a publisher whose
// subscribers may be slow, an answerer that cannot answer.
#include <chrono>
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "port/hand_over.hpp"
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

struct Unwritable {
  template <class Archive>
  void serialize(Archive&, unsigned) {
    throw std::domain_error("not now");
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

static_assert(!std::is_copy_constructible_v<Sender> && !std::is_copy_constructible_v<Receiver>);
static_assert(!std::is_constructible_v<Transferable, Sender&>);
static_assert(!std::is_constructible_v<Transferable, Receiver&>);

TEST_CASE("a half that is closed closes the port") {
  const PortCensus census;
  for (const bool sending : {true, false}) {
    MessageChannel channel;
    auto [sender, receiver] = split(std::move(channel.port1));
    sending ? sender.close() : receiver.close();
    CHECK_FALSE(sender.is_open());
    CHECK_FALSE(receiver.is_open());
    CHECK(channel.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
  }
}

TEST_CASE("a sender that threads share keeps the order of each, and every message whole") {
  const PortCensus census;
  constexpr std::uint64_t kThreads = 4, kMessages = 2000;
  MessageChannel channel({.limit_bytes = 64 << 10});
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    std::map<std::uint64_t, std::uint64_t> next;
    std::uint64_t count = 0;
    for (; Received received = ports[0].receive(); ++count) {
      const auto numbers = received->data<std::vector<std::uint64_t>>();
      PORTOLAN_CHILD_REQUIRE(numbers == std::vector<std::uint64_t>(16, numbers.at(0)));
      PORTOLAN_CHILD_REQUIRE(next[numbers[0] >> 32]++ == (numbers[0] & 0xffffffff));
    }
    return count == kThreads * kMessages ? 0 : 1;
  });
  {
    const SharedSender sender(std::move(channel.port1));
    std::vector<std::jthread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread)
      threads.emplace_back([thread, shared = sender]() mutable {
        for (std::uint64_t i = 0; i < kMessages; ++i) {
          const std::vector<std::uint64_t> numbers(16, thread << 32 | i);
          if (shared.post_message_for(kPatience, numbers) != PostResult::posted) return;
        }
      });
  }
  CHECK(child.wait() == ChildExit::exited(0));
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

TEST_CASE("an answer that cannot be written may be given in other words") {
  const PortCensus census;
  OneShot one = one_shot();
  CHECK_THROWS(one.port.reply(Unwritable{}));
  CHECK(one.port.is_open());
  one.port.reply(7);
  CHECK(one.answer.receive()->data<int>() == 7);
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
  CHECK(runs_out());
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
    CHECK(quick.port2.receive_for(kPatience)->data<int>() == i);
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
      REQUIRE(port.receive_for(kPatience)->data<int>() == i);
    }
  }
  CHECK(slow[SlowPolicy::disconnect].receive_for(kPatience).status() == ReceiveStatus::closed);
  CHECK(slow[SlowPolicy::drop_newest].try_receive().status() == ReceiveStatus::empty);
  // What was held back goes out by itself: the newest four.
  std::vector<int> held;
  slow[SlowPolicy::drop_oldest].on_message<int>([&](int number) {
    held.push_back(number);
    if (held.size() == 4) slow[SlowPolicy::drop_oldest].close();
  });
  CHECK(runs_out());
  CHECK(held == std::vector{8, 9, 10, 11});
}

TEST_CASE("a publisher that waits for a slow subscriber loses nothing") {
  const PortCensus census;
  constexpr int kValues = 100;
  Publisher<int> publisher;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (int i = 0; i < kValues; ++i) PORTOLAN_CHILD_REQUIRE(ports[0].receive()->data<int>() == i);
    return ports[0].receive() ? 1 : 0;
  });
  const SubscriberId id = publisher.add(
      std::move(channel.port1), {.policy = SlowPolicy::wait, .most_unread = 1, .patience = kPatience});
  for (int i = 0; i < kValues; ++i) publisher.publish(i);
  CHECK(publisher.counters(id).posted == kValues);
  CHECK(publisher.counters(id).dropped == 0);
  publisher.remove(id);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("what is held back for a slow subscriber goes before what is published later") {
  const PortCensus census;
  Publisher<int> publisher;
  MessageChannel channel;
  publisher.add(std::move(channel.port1), {.most_unread = 2});
  for (int i = 0; i < 4; ++i) publisher.publish(i);
  CHECK(publisher.flush() == 2);
  for (int i = 0; i < 2; ++i) CHECK(channel.port2.receive_for(kPatience)->data<int>() == i);
  publisher.publish(4);
  for (int i = 2; i < 4; ++i) CHECK(channel.port2.receive_for(kPatience)->data<int>() == i);
  CHECK(publisher.flush() == 0);
  CHECK(channel.port2.receive_for(kPatience)->data<int>() == 4);
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
