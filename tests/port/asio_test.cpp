// SPDX-License-Identifier: Apache-2.0

// Ports in Boost.Asio: completion, errors, cancelling, and where and with whose memory handlers are called.
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <portolan/asio.hpp>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using boost::system::error_code;

namespace {

template <class T>
struct CountingAllocator {
  using value_type = T;
  int* count;

  explicit CountingAllocator(int* counted) : count(counted) {}
  template <class U>
  CountingAllocator(const CountingAllocator<U>& other) : count(other.count) {}  // NOLINT: rebinding
  T* allocate(std::size_t n) {
    ++*count;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* memory, std::size_t n) { std::allocator<T>().deallocate(memory, n); }
  friend bool operator==(const CountingAllocator&, const CountingAllocator&) = default;
};

struct CountingHandler {
  int* allocations;
  std::string* text;

  using allocator_type = CountingAllocator<char>;
  allocator_type get_allocator() const noexcept { return allocator_type(allocations); }
  void operator()(error_code error, Received received) const {
    *text = error ? error.message() : std::string(received->text());
  }
};

// Until no operation waits any more. False if kPatience does not get it there.
bool runs_out(boost::asio::io_context& context) {
  context.run_for(kPatience);
  return context.stopped();
}

}  // namespace

TEST_CASE("asynchronous operations with another process complete, in order, and end with eof") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 1 << 20});
  ChildProcess child = fork_with(ports_of(std::move(channel.port2)), [](Ports& ports) {
    std::size_t bytes = 0;
    while (Received received = ports[0].receive()) {
      bytes += received->bytes().size();
      if (received->is_request()) {
        received->reply(bytes);
        break;
      }
    }
    ports[0].post_message("the last");
    return 0;
  });
  boost::asio::io_context context;
  AsioPort port(context, std::move(channel.port1));
  int posted = 0;
  std::string log;
  const auto post_on = [&](auto& self) -> void {
    port.async_post(std::vector<std::byte>(50'000), [&](error_code error) {
      CHECK_FALSE(error);
      const int before = ++posted;
      if (before < 60) {
        self(self);
        CHECK(posted == before);  // never from within the call
        return;
      }
      port.async_request("how much?", [&](error_code failed, Received reply) {
        CHECK_FALSE(failed);
        CHECK(reply->data<std::size_t>() == 60 * 50'000 + 9);
        log += "reply ";
        port.async_receive([&](error_code first, Received last) {
          CHECK_FALSE(first);
          log += last->text();
          port.async_receive([&](error_code end, const Received&) {
            CHECK(end == boost::asio::error::eof);
            log += " eof";
          });
        });
      });
    });
  };
  post_on(post_on);
  CHECK(posted == 0);
  context.run();
  CHECK(log == "reply the last eof");
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("handlers run in their own executor and with their own memory, and a future is a token too") {
  const PortCensus census;
  MessageChannel channel;
  boost::asio::io_context context, own;
  AsioPort port(context, std::move(channel.port1));
  int allocations = 0;
  std::string text;
  port.async_receive(boost::asio::bind_executor(own, CountingHandler{&allocations, &text}));
  const int for_operation = allocations;
  CHECK(for_operation > 0);
  channel.port2.post_message("one");
  context.run();
  CHECK(text.empty());
  CHECK(allocations > for_operation);
  own.run();
  CHECK(text == "one");
  port.async_receive(CountingHandler{&allocations, &text});
  channel.port2.post_message("two");
  context.restart();
  context.run();
  CHECK(text == "two");
  CHECK(allocations > 0);
  auto future = port.async_receive(boost::asio::use_future);
  channel.port2.post_message("three");
  context.restart();
  context.run();
  CHECK(future.get()->data<std::string>() == "three");
}

TEST_CASE("cancelled operations say so and lose nothing; failed ones say why") {
  const PortCensus census;
  MessageChannel channel;
  boost::asio::io_context context;
  std::vector<error_code> errors;
  {
    AsioPort port(context, std::move(channel.port1));
    const auto note = [&](error_code error, const Received&) { errors.push_back(error); };
    port.async_receive(note);
    port.async_request("never answered", note);
    context.poll();
    port.cancel();
    CHECK(runs_out(context));
    CHECK(errors == std::vector<error_code>(2, boost::asio::error::operation_aborted));
    CHECK(port.port().pending_requests() == 0);
    context.restart();
    channel.port2.post_message("after the cancel");
    std::string text;
    port.async_receive([&](error_code, Received received) { text = received->text(); });
    CHECK(runs_out(context));
    CHECK(text == "after the cancel");
    context.restart();
    errors.clear();
    port.async_request("too slow", {.timeout = std::chrono::milliseconds(1)}, note);
    CHECK(runs_out(context));
    context.restart();
    port.async_request("closed", note);
    port.async_receive(note);
    channel.port2.close();
    CHECK(runs_out(context));
    context.restart();
    port.async_post("nobody", [&](error_code error) { errors.push_back(error); });
    CHECK(runs_out(context));
    REQUIRE(errors.size() == 4);
    CHECK(errors[0] == boost::asio::error::timed_out);
    CHECK(((errors[1] == boost::asio::error::connection_reset && errors[2] == boost::asio::error::eof) ||
           (errors[2] == boost::asio::error::connection_reset && errors[1] == boost::asio::error::eof)));
    CHECK(errors[3] == boost::asio::error::broken_pipe);
    context.restart();
    errors.clear();
    MessageChannel other;
    AsioPort ends(context, std::move(other.port1));
    ends.async_receive(note);
    context.poll();
    ends.port().close();
    CHECK(runs_out(context));
    CHECK(errors == std::vector<error_code>{boost::asio::error::eof});
    context.restart();
  }
  MessageChannel last;
  {
    AsioPort port(context, std::move(last.port1));
    port.async_receive([&](error_code error, const Received&) { errors = {error}; });
    context.poll();
  }
  context.restart();
  CHECK(runs_out(context));
  CHECK(errors == std::vector<error_code>{boost::asio::error::operation_aborted});
}

TEST_CASE(
    "a post that is cancelled is not posted, and one whose port is closed says so, as a request without "
    "room") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  boost::asio::io_context context;
  AsioPort port(context, std::move(channel.port1));
  const std::vector<std::byte> block(2000);
  std::vector<error_code> errors;
  int posted = 0;
  while (port.port().try_post_message(block) == PostResult::posted) ++posted;
  port.async_request(block, [&](error_code error, const Received&) { errors.push_back(error); });
  CHECK(runs_out(context));
  CHECK(errors == std::vector<error_code>{boost::asio::error::no_buffer_space});
  errors.clear();
  context.restart();
  port.async_post(block, [&](error_code error) { errors.push_back(error); });
  context.poll();
  CHECK(errors.empty());
  for (; posted > 0; --posted) static_cast<void>(channel.port2.receive());
  port.cancel();
  CHECK(runs_out(context));
  CHECK(errors == std::vector<error_code>{boost::asio::error::operation_aborted});
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);
  while (port.port().try_post_message(block) == PostResult::posted) {
  }
  errors.clear();
  context.restart();
  port.async_post(block, [&](error_code error) { errors.push_back(error); });
  context.poll();
  port.port().close();
  CHECK(runs_out(context));
  CHECK(errors == std::vector<error_code>{boost::asio::error::broken_pipe});
}

TEST_CASE("a port in whose place another one is put cancels what it was waiting for") {
  const PortCensus census;
  MessageChannel first, second;
  boost::asio::io_context context;
  std::vector<error_code> errors;
  AsioPort port(context, std::move(first.port1));
  port.async_receive([&](error_code error, const Received&) { errors.push_back(error); });
  context.poll();
  port = AsioPort(context, std::move(second.port1));
  context.restart();
  CHECK(runs_out(context));
  CHECK(errors == std::vector<error_code>{boost::asio::error::operation_aborted});
  CHECK(first.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
  std::string text;
  port.async_receive([&](error_code, Received received) { text = received->text(); });
  second.port2.post_message("to the new one");
  context.restart();
  CHECK(runs_out(context));
  CHECK(text == "to the new one");
}
