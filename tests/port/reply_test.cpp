// SPDX-License-Identifier: Apache-2.0

// What a Reply promises whoever holds it, and what on_request() promises both sides.
#include <chrono>
#include <doctest/doctest.h>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"
#include "process/asleep.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

std::string why_not(Reply& reply) {
  try {
    static_cast<void>(reply.get());
  } catch (const RequestError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a Reply is waited for once, and another one in its place gives it up") {
  const PortCensus census;
  MessageChannel channel;
  Reply reply = channel.port1.request("first");
  int replies = 0;
  reply.on_reply([&] { ++replies; });
  CHECK_THROWS_AS(reply.on_reply([&] { ++replies; }), InvalidStateError);
  channel.port2.receive_for(kPatience)->reply(1);
  CHECK(runs_out());
  CHECK(replies == 1);
  Reply replaced = channel.port1.request("given up");
  replaced = channel.port1.request("kept");
  CHECK(channel.port1.pending_requests() == 1);
  channel.port2.receive_for(kPatience)->reply(2);
  channel.port2.receive_for(kPatience)->reply(3);
  CHECK(replaced.get().data<int>() == 3);
  CHECK(channel.port1.info().late_replies == 1);
}

TEST_CASE("each reason for which there is no reply has its code") {
  const PortCensus census;
  using Case = std::pair<ReplyStatus, std::errc>;
  for (const auto& [status, code] : {Case(ReplyStatus::timed_out, std::errc::timed_out),
                                     Case(ReplyStatus::refused, std::errc::bad_message),
                                     Case(ReplyStatus::closed, std::errc::connection_reset),
                                     Case(ReplyStatus::detached, std::errc::not_connected)}) {
    MessageChannel channel, carrier;
    Reply reply = channel.port1.request("question");
    if (status == ReplyStatus::timed_out) reply.cancel();
    if (status == ReplyStatus::refused) channel.port2.receive()->refuse("no");
    if (status == ReplyStatus::closed) channel.port2.close();
    if (status == ReplyStatus::detached) carrier.port1.post_message("on", {.transfer = {channel.port1}});
    try {
      static_cast<void>(reply.get());
      CHECK_MESSAGE(false, "there is a reply");
    } catch (const RequestError& error) {
      CHECK(error.status() == status);
      CHECK(error.code() == code);
    }
  }
}

TEST_CASE("the longest time-outs do not end at once") {
  const pid_t self = ::gettid();
  MessageChannel channel;
  Reply reply = channel.port1.request("question", {.timeout = std::chrono::nanoseconds::max() - 1ns});
  const std::jthread answerer([&] {
    REQUIRE(wait_until([&] { return sleeps_deeply(self); }));
    channel.port2.receive()->reply("answer");
  });
  CHECK(reply.get().data<std::string>() == "answer");
}

TEST_CASE("a time-out that was not needed keeps no loop going") {
  const PortCensus census;
  MessageChannel channel;
  std::string text;
  channel.port1.request("question", {.timeout = 1h}).on_reply([&](MessageEvent& event) {
    text = event.text();
  });
  channel.port2.receive()->reply("answer");
  CHECK(runs_out());
  CHECK(text == "answer");
}

TEST_CASE("a refusal is as long as a reason may be, and one without a reason says that") {
  MessageChannel channel;
  Reply silent = channel.port1.request(1), endless = channel.port1.request(2);
  channel.port2.receive()->refuse("");
  channel.port2.receive()->refuse(std::string(100'000, 'x'));
  CHECK(why_not(silent).find("does not say why") != std::string::npos);
  const std::string reason = why_not(endless);
  CHECK(reason.find(std::string(500, 'x')) != std::string::npos);
  CHECK(reason.size() < 2000);
}

TEST_CASE("what a handler throws on a message that nobody waits for a reply to is thrown") {
  const PortCensus census;
  MessageChannel channel;
  int handled = 0;
  on_request<int>(channel.port2, [&](int number) {
    ++handled;
    if (number < 0) throw std::domain_error("negative");
    return number;
  });
  channel.port1.post_message(1);
  static_cast<void>(EventLoop::current().poll());
  channel.port1.post_message(-1);
  CHECK_THROWS_WITH_AS(static_cast<void>(EventLoop::current().poll()), "negative", std::domain_error);
  CHECK(handled == 2);
  CHECK(channel.port1.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("a handler without a result answers when it likes, by the event that it has kept") {
  const PortCensus census;
  MessageChannel channel;
  std::vector<MessageEvent> asked;
  on_request<int>(channel.port2, [&](int, MessageEvent& event) { asked.push_back(std::move(event)); });
  Reply first = channel.port1.request(1), second = channel.port1.request(2);
  while (asked.size() < 2) static_cast<void>(EventLoop::current().poll());
  CHECK(first.status() == ReplyStatus::pending);
  asked[1].reply("two");
  asked[0].reply("one");
  CHECK(first.get().data<std::string>() == "one");
  CHECK(second.get().data<std::string>() == "two");
}

TEST_CASE("a queue that is enabled cannot be waited for by hand as well") {
  MessageChannel channel;
  channel.port1.on_message([] {});
  CHECK_THROWS_AS(channel.port1.when_readable([] {}), InvalidStateError);
}
