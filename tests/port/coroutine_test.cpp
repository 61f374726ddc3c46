// SPDX-License-Identifier: Apache-2.0

// Coroutines on the library's own loop.
#include <chrono>
#include <doctest/doctest.h>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <portolan/coroutine.hpp>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

Task<int> sum_until_closed(MessagePort& port) {
  int sum = 0;
  while (Received received = co_await next_message(port)) sum += received->data<int>();
  co_return sum;
}

Task<> store(Task<int> task, std::optional<int>& into) {
  into = co_await std::move(task);
}

Task<> receive_into(MessagePort& port, WaitOptions options, std::optional<ReceiveStatus>& into) {
  const Received received = co_await next_message(port, options);
  into = received.status();
}

Task<int> ask(MessagePort& port, int number) {
  Reply asked = port.request(number, {.timeout = kPatience});
  MessageEvent reply = co_await asked;
  co_return reply.data<int>();
}

Task<> ask_both(MessagePort& port, std::vector<int>& answers) {
  answers.push_back(co_await ask(port, 1));
  try {
    answers.push_back(co_await ask(port, -1));
  } catch (const RequestError& error) {
    answers.push_back(error.status() == ReplyStatus::closed ? -1 : 0);
  }
}

Task<> post_many(MessagePort& port, int count, int& posted) {
  for (int i = 0; i < count; ++i)
    if (co_await post_when_room(port, std::vector<std::byte>(10'000)) == PostResult::posted) ++posted;
  if (co_await port.drained()) ++posted;
}

Task<> fail() {
  co_await sleep_for(1ms);
  throw std::runtime_error("thrown in a task");
}

Task<> sleep_into(std::chrono::nanoseconds duration, std::stop_token stop, std::optional<bool>& into) {
  const bool slept = co_await sleep_for(duration, stop);
  into = slept;
}

Task<> post_into(MessagePort& port, WaitOptions options, std::optional<PostResult>& into) {
  const PostResult result = co_await post_when_room(port, std::vector<std::byte>(1000), {}, options);
  into = result;
}

// As an awaiting coroutine that ends early would leave it.
void begin(Task<>& task) {
  std::move(task).operator co_await().await_suspend(std::noop_coroutine()).resume();
}

struct EndsWith {
  bool& ended;
  ~EndsWith() { ended = true; }
};
Task<> wait_with(MessagePort& port, bool& ended) {
  const EndsWith with{ended};
  static_cast<void>(co_await next_message(port));
}
Task<> ask_with(MessagePort& port, bool& ended) {
  const EndsWith with{ended};
  Reply asked = port.request("question");
  MessageEvent reply = co_await asked;
  static_cast<void>(reply.text());
}
Task<> drain_with(MessagePort& port, bool& ended) {
  const EndsWith with{ended};
  const bool drained = co_await port.drained();
  static_cast<void>(drained);
}

}  // namespace

TEST_CASE("a coroutine receives what another process posts, in its order, until the end") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (int i = 1; i <= 1000; ++i) {
      if (i % 250 == 0) std::this_thread::sleep_for(15ms);  // long enough for the loop to sleep deeply
      ports[0].post_message(i);
    }
    return 0;
  });
  std::optional<int> sum;
  spawn(store(sum_until_closed(channel.port1), sum));
  EventLoop::current().run();
  CHECK(sum == 500'500);
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a wait for a message ends in time, by a stop from another thread, or by a close, and loses none") {
  const PortCensus census;
  MessageChannel channel;
  std::optional<ReceiveStatus> status;
  spawn(receive_into(channel.port1, {.timeout = 1ms}, status));
  CHECK(runs_out());
  CHECK(status == ReceiveStatus::timed_out);

  std::stop_source stop;
  spawn(receive_into(channel.port1, {.stop = stop.get_token()}, status));
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK(runs_out());
  CHECK(status == ReceiveStatus::stopped);

  channel.port2.post_message("still here");
  spawn(receive_into(channel.port1, {}, status));
  CHECK(status == ReceiveStatus::message);

  status.reset();
  spawn(receive_into(channel.port1, {}, status));
  EventLoop::current().poll();
  CHECK_FALSE(status);
  channel.port2.close();
  CHECK(runs_out());
  CHECK(status == ReceiveStatus::closed);
}

TEST_CASE("a coroutine that waits is told of its port's own close") {
  MessageChannel channel;
  std::optional<ReceiveStatus> status;
  spawn(receive_into(channel.port1, {}, status));
  EventLoop::current().post([&] { channel.port1.close(); });
  CHECK(runs_out());
  CHECK(status == ReceiveStatus::closed);
}

TEST_CASE("requests are awaited, and throw where there is no reply") {
  const PortCensus census;
  MessageChannel channel;
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    Received first = ports[0].receive();
    ports[0].post_message("in front");
    first->reply(first->data<int>() + 1);
    static_cast<void>(ports[0].receive());
    return 0;
  });
  std::vector<int> answers;
  spawn(ask_both(channel.port1, answers));
  CHECK(runs_out());
  CHECK(answers == std::vector{2, -1});
  CHECK(channel.port1.receive_for(kPatience)->text() == "in front");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a coroutine posts more than the channel holds, and waits until it was read") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 128 << 10});
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    for (int i = 0; i < 100; ++i) PORTOLAN_CHILD_REQUIRE(ports[0].receive()->bytes().size() == 10'000);
    static_cast<void>(ports[0].receive());
    return 0;
  });
  int posted = 0;
  spawn(post_many(channel.port1, 100, posted));
  EventLoop::current().run();
  CHECK(posted == 101);
  CHECK(channel.port1.info().posts_refused > 0);
  channel.port1.close();
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("a sleep and a post that waits for room end by a stop, in time, or by a close") {
  const PortCensus census;
  std::optional<bool> slept;
  spawn(sleep_into(1ms, {}, slept));
  CHECK(runs_out());
  CHECK(slept == true);
  std::stop_source stop;
  spawn(sleep_into(1h, stop.get_token(), slept));
  MessageChannel channel({.limit_bytes = 64 << 10});
  while (channel.port1.try_post_message(std::vector<std::byte>(1000)) == PostResult::posted) {
  }
  const std::uint64_t unread = channel.port1.buffered_amount().messages;
  std::optional<PostResult> stopped, in_time, closed;
  spawn(post_into(channel.port1, {.stop = stop.get_token()}, stopped));
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK(runs_out());
  CHECK(slept == false);
  CHECK(stopped == PostResult::timed_out);
  spawn(post_into(channel.port1, {.timeout = 1ms}, in_time));
  CHECK(runs_out());
  CHECK(in_time == PostResult::timed_out);
  CHECK(channel.port1.buffered_amount().messages == unread);
  spawn(post_into(channel.port1, {}, closed));
  EventLoop::current().post([&] { channel.port2.close(); });
  CHECK(runs_out());
  CHECK(closed == PostResult::closed);
}

TEST_CASE("a coroutine that waits for room is told of its port's own close") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  while (channel.port1.try_post_message(std::vector<std::byte>(1000)) == PostResult::posted) {
  }
  std::optional<PostResult> result;
  spawn(post_into(channel.port1, {.timeout = 1h}, result));
  EventLoop::current().post([&] { channel.port1.close(); });
  CHECK(runs_out());
  CHECK(result == PostResult::closed);
}

TEST_CASE("what a task throws goes to the exception handler, or out of run") {
  spawn(fail());
  CHECK_THROWS_WITH(EventLoop::current().run(), "thrown in a task");
  std::string caught;
  EventLoop::current().set_exception_handler([&](const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      caught = error.what();
    }
  });
  spawn(fail());
  EventLoop::current().run();
  EventLoop::current().set_exception_handler({});
  CHECK(caught == "thrown in a task");
}

TEST_CASE("a task that is destroyed while it waits gives its wait up") {
  const PortCensus census;
  MessageChannel channel;
  bool ended = false;
  {
    Task<> waits = wait_with(channel.port1, ended);
    begin(waits);
    CHECK_FALSE(ended);
  }
  CHECK(ended);
  CHECK(runs_out());
  channel.port2.post_message("for whoever comes next");
  CHECK(channel.port1.receive_for(kPatience)->text() == "for whoever comes next");
}

TEST_CASE("a task that is destroyed while it waits for a reply or a drain is not resumed by them") {
  const PortCensus census;
  MessageChannel channel;
  bool asked = false, drained = false;
  {
    Task<> asks = ask_with(channel.port1, asked), drains = drain_with(channel.port1, drained);
    begin(asks);
    begin(drains);
    CHECK(channel.port1.pending_requests() == 1);
  }
  CHECK(asked);
  CHECK(drained);
  CHECK(channel.port1.pending_requests() == 0);
  channel.port2.receive()->reply("late");
  EventLoop::current().run();
  CHECK(channel.port1.try_receive().status() == ReceiveStatus::empty);
  CHECK(channel.port1.info().late_replies == 1);
}

TEST_CASE("a task in whose place another one is put ends where it stands") {
  const PortCensus census;
  MessageChannel first, second;
  bool first_ended = false, second_ended = false;
  {
    Task<> task = wait_with(first.port1, first_ended);
    begin(task);
    task = wait_with(second.port1, second_ended);
    CHECK(first_ended);
    begin(task);
    CHECK_FALSE(second_ended);
  }
  CHECK(second_ended);
}
