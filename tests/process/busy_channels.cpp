// SPDX-License-Identifier: Apache-2.0

#include "process/busy_channels.hpp"

#include <cstdlib>
#include <exception>
#include <malloc.h>
#include <string>
#include <utility>

#include "port/hand_over.hpp"
#include "support/condition.hpp"

namespace portolan::testing {

namespace {

constexpr std::uint64_t kEveryPort = 3;  // one message in three brings a port, with a message of its own
constexpr std::uint64_t kRunAhead = 24;  // as many are unanswered at the most: their ports need descriptors

// Sends each message and each port back.
int answer_all(Ports& ports) {
  for (std::uint64_t number = 0;; ++number) {
    Received received = ports[0].receive();
    if (received.status() == ReceiveStatus::closed) return 0;
    PORTOLAN_CHILD_REQUIRE(received && received->data<std::uint64_t>() == number);
    PostOptions options;
    if (number % kEveryPort == 0) {
      PORTOLAN_CHILD_REQUIRE(received->ports().size() == 1);
      MessagePort& inner = received->ports()[0];
      PORTOLAN_CHILD_REQUIRE(inner.receive()->data<std::uint64_t>() == number);
      inner.post_message(number + 1);
      PORTOLAN_CHILD_REQUIRE(ports[0].post_message_for(kPatience, number, {.transfer = {inner}}) ==
                             PostResult::posted);
      continue;
    }
    PORTOLAN_CHILD_REQUIRE(ports[0].post_message_for(kPatience, number) == PostResult::posted);
  }
}

}  // namespace

BusyChannels::BusyChannels() {
  ::mallopt(M_ARENA_MAX, 1);
  for (Line& line : lines_) {
    MessageChannel channel;
    line.port = std::move(channel.port1);
    line.peer.emplace(fork_with(ports_of(std::move(channel.port2)), answer_all));
  }
  for (Line& line : lines_) {
    start([this, &line] { post_on(line); });
    start([this, &line] { receive_on(line); });
  }
  start([this] { use_malloc(); });
}

BusyChannels::~BusyChannels() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
}

template <class F>
void BusyChannels::start(F work) {
  threads_.emplace_back([this, work] {
    try {
      work();
    } catch (const std::exception& error) {
      static std::string said;
      said = error.what();
      fault_ = said.c_str();
    }
  });
}

void BusyChannels::post_on(Line& line) {
  for (std::uint64_t number = 0; !stop_ && fault() == nullptr; ++number) {
    while (number - line.answered >= kRunAhead && !stop_ && fault() == nullptr) std::this_thread::yield();
    if (number % kEveryPort == 0) {
      MessageChannel inner;
      inner.port1.post_message(number);
      {
        const std::lock_guard lock(line.mutex);
        line.kept.push_back(std::move(inner.port1));
      }
      expect(line.port.post_message_for(kPatience, number, {.transfer = {inner.port2}}) == PostResult::posted,
             "a message with a port could not be posted");
    } else {
      expect(line.port.post_message_for(kPatience, number) == PostResult::posted,
             "a message could not be posted");
    }
    line.posted = number + 1;
  }
  line.complete = true;
}

void BusyChannels::receive_on(Line& line) {
  for (std::uint64_t number = 0; fault() == nullptr; ++number) {
    while (number == line.posted && !line.complete) std::this_thread::yield();
    if (number == line.posted) return expect(!line.port.try_receive(), "there is more than was posted");
    Received received = line.port.receive_for(kPatience);
    if (!received) return expect(false, "an answer did not come");
    expect(received->data<std::uint64_t>() == number, "an answer is not the next one");
    if (number % kEveryPort == 0) {
      expect(received->ports().size() == 1, "a port did not come back");
      MessagePort here;
      {
        const std::lock_guard lock(line.mutex);
        here = std::move(line.kept.front());
        line.kept.pop_front();
      }
      Received inner = here.receive_for(kPatience);
      expect(inner && inner->data<std::uint64_t>() == number + 1, "a moved port lost its peer's message");
      here.post_message(number + 2);
      Received back = received->ports()[0].receive_for(kPatience);
      expect(back && back->data<std::uint64_t>() == number + 2, "a port that came back lost its message");
    }
    line.answered = number + 1;
  }
}

// Of a size that no thread keeps for itself.
void BusyChannels::use_malloc() const {
  constexpr std::size_t kSizes[] = {3'000, 5'000, 20'000};
  while (!stop_)
    for (const std::size_t size : kSizes) {
      void* volatile const memory = std::malloc(size);
      std::free(memory);
    }
}

std::uint64_t BusyChannels::answered() const {
  std::uint64_t all = 0;
  for (const Line& line : lines_) all += line.answered;
  return all;
}

void BusyChannels::come_to_rest() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool BusyChannels::close_and_see_peers_end() {
  bool all = true;
  for (Line& line : lines_) line.port.close();
  for (Line& line : lines_) all = line.peer->wait() == ChildExit::exited(0) && all;
  return all;
}

}  // namespace portolan::testing
