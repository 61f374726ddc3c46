// SPDX-License-Identifier: Apache-2.0

// Ports, listeners, events, loops and threads may end in any order; and what the library says of it to
// people.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"
#include "support/body.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// What was said since it was made, for as long as it lives.
class Said {
 public:
  explicit Said(LogLevel most = LogLevel::warning) {
    set_log_sink(
        [lines = lines_](LogLevel level, std::string_view message) {
          const std::lock_guard lock(lines->mutex);
          lines->text.push_back(std::string(to_string(level)) + ": " + std::string(message));
        },
        most);
  }
  Said(const Said&) = delete;
  Said& operator=(const Said&) = delete;
  ~Said() { set_log_sink({}); }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(lines_->mutex);
    return lines_->text;
  }

 private:
  struct Lines {
    std::mutex mutex;
    std::vector<std::string> text;
  };
  std::shared_ptr<Lines> lines_ = std::make_shared<Lines>();
};

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t count = 0; (count = ::read(descriptor, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(count));
  return text;
}

// What a new execution of this program writes to standard error.
std::string errors_of(const char* body, const char* level) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const FileDescriptor reading(pipe[0]);
  FileDescriptor writing(pipe[1]);
  if (level != nullptr) ::setenv("PORTOLAN_LOG", level, 1);
  ChildProcess child = ChildProcess::execute(body, {std::to_string(writing.get())}, {writing.get()});
  ::unsetenv("PORTOLAN_LOG");
  writing = {};
  const std::string text = read_all(reading.get());
  CHECK(child.wait() == ChildExit::exited(0));
  return text;
}

}  // namespace

// Static and thread-local ports with listeners, unread messages, an event and a kept message, all left to the
// end.
PORTOLAN_BODY(leaves_everything_to_the_end) {
  ::dup2(std::atoi(arguments[0]), STDERR_FILENO);
  static MessageChannel of_process({.label = "of the process"});
  static thread_local MessageChannel of_thread({.label = "of the thread"});
  static std::optional<MessageEvent> event;
  static Message kept;
  for (MessageChannel* const channel : {&of_process, &of_thread}) {
    channel->port1.post_message("first");
    channel->port1.post_message("unread");
    channel->port2.on_message([&](MessageEvent& seen) {
      if (!event)
        event.emplace(std::move(seen));
      else
        kept = std::move(seen).keep();
      EventLoop::current().stop();
    });
  }
  static_cast<void>(EventLoop::current().run_one());
  static_cast<void>(EventLoop::current().run_one());
  static MessageChannel elsewhere({.label = "of another thread"});
  std::thread([] {
    static thread_local MessageChannel inner;
    inner.port2.on_message([port = std::move(inner.port1)](MessageEvent&) {});
    elsewhere.port1.post_message("unread");
    elsewhere.port2.on_message([](MessageEvent&) {});
    EventLoop::current().post([] {});
    EventLoop::current().set_timeout(std::chrono::hours(1), [] {});
  }).join();
  return 0;
}

TEST_CASE("static and thread-local ports, events and messages end with their threads and the process") {
  const PortCensus census;
  CHECK(errors_of("leaves_everything_to_the_end", nullptr).empty());
}

TEST_CASE("PORTOLAN_LOG has warnings written to standard error, one line each, and errors alone have none") {
  const std::string text = errors_of("leaves_everything_to_the_end", "warning");
  for (const char* label : {"of the process", "of the thread", "of another thread"}) {
    CAPTURE(label);
    CHECK(text.find("portolan: warning: port \"" + std::string(label) + "\": its loop has ended") !=
          std::string::npos);
  }
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(errors_of("leaves_everything_to_the_end", "error").empty());
  CHECK(errors_of("leaves_everything_to_the_end", "no such level").empty());
}

TEST_CASE("ports, their peer, an event, a kept message and a listener's own port end in any order") {
  const PortCensus census;
  std::array<std::size_t, 5> order{0, 1, 2, 3, 4};
  do {
    MessageChannel owned;
    std::optional<MessageEvent> event;
    Message kept;
    auto channel = std::make_unique<MessageChannel>();
    MessagePort peer = std::move(channel->port1);
    MessagePort port = std::move(channel->port2);
    for (int i = 0; i < 3; ++i) peer.post_message("message");
    int calls = 0;
    port.on_message([&, own = std::move(owned.port1)](MessageEvent& seen) {
      if (++calls == 1) event.emplace(std::move(seen));
      if (calls == 2) kept = std::move(seen).keep();
    });
    static_cast<void>(EventLoop::current().run_one());
    static_cast<void>(EventLoop::current().run_one());
    for (const std::size_t next : order) {
      if (next == 0) peer = {};
      if (next == 1) port = {};
      if (next == 2) event.reset();
      if (next == 3) kept = {};
      if (next == 4) channel.reset();
      static_cast<void>(EventLoop::current().poll());
      if (event) CHECK(event->text() == "message");
      if (kept.bytes().size() == 7) CHECK(kept.text() == "message");
    }
    CHECK_FALSE(owned.port2.is_open());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a port whose loop ends with messages unread says so, once, by its name") {
  const PortCensus census;
  const Said said;
  MessageChannel unread({.label = "unread"}), read({.label = "read"});
  std::thread([&] {
    unread.port2.on_message([](MessageEvent&) {});
    read.port2.on_message([](MessageEvent&) {});
    read.port1.post_message("x");
    static_cast<void>(EventLoop::current().poll());
    unread.port1.post_message("x");
  }).join();
  unread.port2.close();
  read.port2.close();
  REQUIRE(said.lines().size() == 1);
  CHECK(said.lines()[0].starts_with(
      "warning: port \"unread\": its loop has ended, and messages are left unread"));
}

TEST_CASE("a port that gets a message after its loop has ended says so when it is closed") {
  const PortCensus census;
  const Said said;
  MessageChannel late({.label = "late"});
  std::thread([&] { late.port2.on_message([](MessageEvent&) {}); }).join();
  late.port1.post_message("x");
  CHECK(said.lines().empty());
  late.port2 = {};
  REQUIRE(said.lines().size() == 1);
  CHECK(said.lines()[0].starts_with("warning: port \"late\""));
}

TEST_CASE("a message that dooms its own channel is worth a warning, and a level below hears nothing of it") {
  const PortCensus census;
  MessageChannel quiet, doomed({.label = "doomed"});
  {
    const Said errors(LogLevel::error);
    static_cast<void>(quiet.port1.try_post_message("x", {.transfer = {quiet.port2}}));
    CHECK(errors.lines().empty());
  }
  const Said said;
  static_cast<void>(doomed.port1.try_post_message("x", {.transfer = {doomed.port2}}));
  REQUIRE(said.lines().size() == 1);
  CHECK(said.lines()[0].starts_with("warning: post_message(\"doomed\")"));
}

TEST_CASE("what a sink throws is dropped, and one that is taken away hears no more") {
  const PortCensus census;
  int calls = 0;
  const auto doom = [] {
    MessageChannel channel;
    return channel.port1.try_post_message("x", {.transfer = {channel.port2}});
  };
  set_log_sink([&](LogLevel, std::string_view) {
    ++calls;
    throw std::runtime_error("the sink's");
  });
  CHECK(doom() == PostResult::closed);
  set_log_sink({});
  CHECK(doom() == PostResult::closed);
  CHECK(calls == 1);
}

#ifndef NDEBUG
TEST_CASE("a debug build refuses what belongs to another thread's loop, and the port goes on there") {
  const PortCensus census;
  MessageChannel channel, carrier;
  std::string got;
  channel.port2.on_message([&](MessageEvent& event) { got = event.text(); });
  std::thread([&] {
    CHECK_THROWS_AS(channel.port2.start(), InvalidStateError);
    CHECK_THROWS_AS(channel.port2.attach(EventLoop::current()), InvalidStateError);
    CHECK_THROWS_AS(static_cast<void>(channel.port2.native_handle()), InvalidStateError);
    CHECK_THROWS_AS(carrier.port1.post_message("x", {.transfer = {channel.port2}}), InvalidStateError);
  }).join();
  channel.port1.post_message("still here");
  static_cast<void>(EventLoop::current().poll());
  CHECK(got == "still here");
}
#endif
