// SPDX-License-Identifier: Apache-2.0

// A kernel that refuses: descriptors, memory, address space, sockets under way. The error says what to do,
// the message stays where it is, and the same call works once the cause is gone.
#include <cerrno>
#include <doctest/doctest.h>
#include <exception>
#include <functional>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bad_input/said.hpp"
#include "os/refused_call.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

// Runs it in a thread whose every such call fails.
void with_memory_refused(long call, int error, const std::function<void()>& body) {
  std::thread([&] {
    const bool filtered =
        call == SYS_mmap ? refuse_call(call, error, 3, MAP_SHARED) : refuse_call(call, error);
    REQUIRE(filtered);
    body();
  }).join();
}

// Looked at later, where there are descriptors again: a sanitizer that looks at an exception needs some.
template <class Call>
std::exception_ptr refusal_of(Call&& call) {
  try {
    call();
  } catch (const PortError&) {
    return std::current_exception();
  }
  return nullptr;
}

void check_says(const std::exception_ptr& refusal, int error, std::initializer_list<std::string_view> parts) {
  REQUIRE(refusal);
  try {
    std::rethrow_exception(refusal);
  } catch (const PortError& refused) {
    CHECK(refused.code() == std::error_code(error, std::generic_category()));
    check_names(refused.what(), parts);
  }
}

template <class Call>
void check_refused(int error, Call&& call, std::initializer_list<std::string_view> parts) {
  check_says(refusal_of(call), error, parts);
}

template <class Call>
void check_refused_with_one_descriptor(Call&& call, std::initializer_list<std::string_view> parts) {
  std::exception_ptr refusal;
  {
    FewDescriptors few(1);
    refusal = refusal_of(call);
  }
  check_says(refusal, EMFILE, parts);
}

}  // namespace

TEST_CASE(
    "without descriptors a message with ports stays, those behind it wait, and all come once there are "
    "some") {
  const PortCensus census;
  MessageChannel carrier({.label = "carrier"}), data;
  carrier.port1.post_message("port", {.transfer = {data.port1}});
  carrier.port1.post_message("behind");
  MessagePort& receiver = carrier.port2;
  static_cast<void>(receiver.info());  // used from here on
  for (int attempt = 0; attempt < 3; ++attempt)
    check_refused_with_one_descriptor(
        [&] { static_cast<void>(receiver.receive()); },
        {"receive(\"carrier\")", "2 descriptors", "the message stays", "RLIMIT_NOFILE"});
  Received received = receiver.receive();
  CHECK(received->text() == "port");
  CHECK_FALSE(received->redelivered());
  received->ports()[0].post_message("it works");
  CHECK(data.port2.receive()->text() == "it works");
  CHECK(receiver.receive()->text() == "behind");
}

TEST_CASE("without descriptors a loop tries again by itself, and delivers once") {
  const PortCensus census;
  MessageChannel carrier, data;
  std::vector<std::string> got;
  MessagePort arrived;
  carrier.port2.on_message([&](MessageEvent& event) {
    got.emplace_back(event.text());
    if (!event.ports().empty()) arrived = std::move(event.ports()[0]);
    if (got.size() == 2) carrier.port2.close();
  });
  EventLoop::current().poll();
  carrier.port1.post_message("port", {.transfer = {data.port1}});
  carrier.port1.post_message("behind");
  {
    FewDescriptors few(1);
    EventLoop::current().poll();
    CHECK(got.empty());
  }
  EventLoop::current().run();
  CHECK(got == std::vector<std::string>{"port", "behind"});
  arrived.post_message("it works");
  CHECK(data.port2.receive()->text() == "it works");
}

TEST_CASE("without descriptors a channel is not made, and the error says what to raise") {
  const PortCensus census;
  check_refused_with_one_descriptor([] { MessageChannel channel; }, {"RLIMIT_NOFILE"});
}

TEST_CASE("who wants no exception of a channel is given its code, and detached ports") {
  const PortCensus census;
  std::error_code error;
  {
    FewDescriptors few(1);
    const MessageChannel refused({}, error);
    CHECK_FALSE(refused.port1.is_open());
    CHECK_FALSE(refused.port2.is_open());
  }
  CHECK(error == std::error_code(EMFILE, std::generic_category()));
  MessageChannel channel({}, error);
  CHECK_FALSE(error);
  channel.port1.post_message("it works");
  CHECK(channel.port2.receive()->text() == "it works");
}

TEST_CASE("without descriptors a bundle of ports is refused whole") {
  const PortCensus census;
  MessageChannel carrier({.label = "carrier"});
  std::vector<MessagePort> ports;
  for (int i = 0; i < 130; ++i) ports.push_back(std::move(MessageChannel().port1));
  static_cast<void>(carrier.port1.info());
  check_refused_with_one_descriptor(
      [&] { carrier.port1.post_message("many", {.transfer = TransferList(ports)}); },
      {"post_message(\"carrier\")", "RLIMIT_NOFILE"});
  carrier.port1.post_message("many", {.transfer = TransferList(ports)});
  CHECK(carrier.port2.receive()->ports().size() == 130);
}

TEST_CASE("too many descriptors under way (ETOOMANYREFS) leave message and ports with the caller") {
  const PortCensus census;
  ChildProcess child = ChildProcess::fork([] {
    // Root is exempt from this limit.
    if (::geteuid() == 0) PORTOLAN_CHILD_REQUIRE(::setresuid(65534, 65534, 65534) == 0);
    const rlimit few{64, 64};
    PORTOLAN_CHILD_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    MessageChannel carrier({.label = "carrier"});
    std::size_t posted = 0;
    for (;;) {
      MessageChannel data;
      try {
        carrier.port1.post_message("port", {.transfer = {data.port1}});
        ++posted;
        PORTOLAN_CHILD_REQUIRE(posted < 100);
      } catch (const PortError& refused) {
        PORTOLAN_CHILD_REQUIRE(refused.code().value() == ETOOMANYREFS);
        const std::string said = refused.what();
        for (const char* part : {"post_message(\"carrier\")", "RLIMIT_NOFILE", "let their receivers read"})
          PORTOLAN_CHILD_REQUIRE(said.find(part) != std::string::npos);
        PORTOLAN_CHILD_REQUIRE(carrier.port2.receive()->ports().size() == 1);
        carrier.port1.post_message("port", {.transfer = {data.port1}});
        break;
      }
    }
    for (; posted > 0; --posted) {
      Received received = carrier.port2.receive();
      PORTOLAN_CHILD_REQUIRE(received->text() == "port" && received->ports().size() == 1);
    }
    return 0;
  });
  CHECK(child.wait() == ChildExit::exited(0));
}

TEST_CASE("without memory for a block a post says so, and works once there is some") {
  const PortCensus census;
  MessageChannel channel({.label = "blocks"});
  const std::string text(3000, 't');
  channel.port1.post_message("first");
  MessageChannel data;
  with_memory_refused(SYS_fallocate, ENOSPC, [&] {
    check_refused(ENOSPC, [&] { channel.port1.post_message(text, {.transfer = {data.port1}}); },
                  {"post_message(", "\"blocks\"", "no memory", "let the peer read"});
    check_refused(ENOSPC, [&] { channel.port1.post_message(text); },
                  {"post_message(3000 bytes on \"blocks\")"});
    channel.port1.post_message("what fits where there is memory goes");
  });
  CHECK(data.port1.is_open());
  channel.port1.post_message(text, {.transfer = {data.port1}});
  CHECK(channel.port2.receive()->text() == "first");
  CHECK(channel.port2.receive()->text() == "what fits where there is memory goes");
  Received received = channel.port2.receive();
  CHECK(received->text() == text);
  CHECK(received->ports().size() == 1);
}

TEST_CASE("a commit that found no memory for a block may be tried again with the same list") {
  const PortCensus census;
  MessageChannel channel({.label = "blocks"});
  std::vector<MessageChannel> channels(20);
  std::vector<MessagePort> ports;
  for (MessageChannel& each : channels) ports.push_back(std::move(each.port1));
  Space space = channel.port1.reserve(700);  // without its table it fits where there is memory
  std::fill(space.bytes().begin(), space.bytes().end(), std::byte{'s'});
  with_memory_refused(SYS_fallocate, ENOSPC, [&] {
    for (int attempt = 0; attempt < 2; ++attempt)
      check_refused(ENOSPC, [&] { space.commit(700, {.transfer = TransferList(ports)}); },
                    {"post_message(", "\"blocks\"", "no memory"});
  });
  for (MessagePort& port : ports) CHECK(port.is_open());
  space.commit(700, {.transfer = TransferList(ports)});
  Received received = channel.port2.receive();
  CHECK(received->text() == std::string(700, 's'));
  CHECK(received->ports().size() == 20);
}

TEST_CASE("a channel that gets no number of its own is not made") {
  const PortCensus census;
  with_memory_refused(SYS_getrandom, ENOSYS, [] {
    check_refused(ENOSYS, [] { MessageChannel channel; }, {"getrandom", "seccomp"});
  });
}

TEST_CASE("a port that cannot be mapped now says so at each use, and is mapped later") {
  const PortCensus census;
  MessageChannel channel;
  channel.port1.post_message("first");
  PortHandle handle = std::move(channel.port1).release();
  with_memory_refused(SYS_mmap, ENOMEM, [&] {
    check_refused(ENOMEM, [&] { static_cast<void>(channel.port2.receive()); },
                  {"MessagePort(channel ", "cannot be mapped", "free address space"});
    check_refused(ENOMEM, [&] { channel.port2.post_message("second"); }, {"cannot be mapped"});
    check_refused(ENOMEM, [&] { static_cast<void>(MessagePort::adopt(std::move(handle))); },
                  {"adopt(channel ", "the handle is unchanged"});
  });
  CHECK(channel.port2.receive()->text() == "first");
  MessagePort again = MessagePort::adopt(std::move(handle));
  again.post_message("second");
  CHECK(channel.port2.receive()->text() == "second");
}

TEST_CASE("a message whose blocks or file cannot be mapped now stays, and comes later") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10, .label = "blocks"});
  channel.port1.post_message("first");
  CHECK(channel.port2.receive()->text() == "first");
  const std::string in_blocks(3000, 'b'), in_a_file(100'000, 'f');
  channel.port1.post_message(in_blocks);
  channel.port1.post_message(in_a_file);
  const auto check_stays = [&](std::string_view what) {
    with_memory_refused(SYS_mmap, ENOMEM, [&] {
      for (int attempt = 0; attempt < 2; ++attempt)
        check_refused(ENOMEM, [&] { static_cast<void>(channel.port2.receive()); },
                      {"receive(\"blocks\")", what, "free address space"});
    });
  };
  check_stays("the channel's memory cannot be mapped");
  CHECK(channel.port2.receive()->text() == in_blocks);
  check_stays("a message of 100000 bytes cannot be mapped");
  CHECK(channel.port2.receive()->text() == in_a_file);
}
