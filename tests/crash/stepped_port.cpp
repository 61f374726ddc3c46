// SPDX-License-Identifier: Apache-2.0

#include "crash/stepped_port.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <optional>
#include <sys/wait.h>

#include "crash/edges.hpp"

#ifdef PORTOLAN_CAN_STEP

namespace portolan::testing {

namespace {

constexpr std::uint64_t kToRead = 14;   // what waits for the child
constexpr std::uint64_t kWithPort = 5;  // the message that brings a port
constexpr std::uint64_t kLastWord = ~std::uint64_t{0};
std::size_t size_of(std::uint64_t number) {
  constexpr std::size_t kSmall = 40, kLarge = 1400;
  return number % 4 == 3 ? kLarge : kSmall;
}

std::vector<std::byte> message_of(std::uint64_t number) {
  const std::span<const std::byte> body = pattern(size_of(number), number);
  std::vector<std::byte> bytes(body.begin(), body.end());
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

bool is_message(const MessageEvent& message, std::uint64_t number) {
  const std::vector<std::byte> expected = message_of(number);
  return std::equal(expected.begin(), expected.end(), message.bytes().begin(), message.bytes().end());
}

// ---- the child

// What it needs is made before it is stepped.
std::vector<std::byte> next_message;

void post_next(MessagePort& port, Progress& progress) {
  port.post_message(next_message);
  progress.posted = progress.posted + 1;
}

void take_next(MessagePort& port, Progress& progress) {
  Received received = port.try_receive();
  PORTOLAN_CHILD_REQUIRE(received.status() == ReceiveStatus::message);
  progress.seen = progress.seen + 1;
  for (MessagePort& brought : received->ports()) PORTOLAN_CHILD_REQUIRE(brought.try_receive());
  received = Received();
  progress.let_go = progress.let_go + 1;
}

void post_one(Ports& ports, Progress& progress) {
  post_next(ports[0], progress);
}
void take_one(Ports& ports, Progress& progress) {
  take_next(ports[0], progress);
}
void take_and_post(Ports& ports, Progress& progress) {
  take_next(ports[0], progress);
  post_next(ports[0], progress);
}
void post_port_along(Ports& ports, Progress& progress) {
  ports[0].post_message(next_message, {.transfer = {ports[1]}});
  progress.given_away = true;
  progress.posted = progress.posted + 1;
}
void close_it(Ports& ports, Progress&) {
  ports[0].close();
}

constexpr Operation kOperations[] = {
    {.name = "a post", .posts_before = 2, .act = post_one},
    {.name = "a post that takes a block", .posts_before = 3, .act = post_one},
    {.name = "a post that takes the next block", .posts_before = 11, .act = post_one},
    {.name = "a receive", .receives_before = 2, .act = take_one},
    {.name = "a receive of another extent", .receives_before = 3, .act = take_one},
    {.name = "a receive that hands a block back", .receives_before = 11, .act = take_one},
    {.name = "a receive with a port, and its adoption", .receives_before = kWithPort, .act = take_one},
    {.name = "a post with a port", .posts_before = 2, .act = post_port_along},
    {.name = "a post with a port that takes a block", .posts_before = 3, .act = post_port_along},
    {.name = "a close", .posts_before = 1, .receives_before = 1, .act = close_it},
    {.name = "an adoption", .act = take_and_post, .from_adoption = true},
    {.name = "a recovery",
     .posts_before = 4,
     .receives_before = 4,
     .act = take_and_post,
     .from_recovery = true},
};

void live(Ports& ports, const Operation& operation, Progress& progress) {
  for (std::uint64_t i = 0; i < operation.posts_before; ++i) {
    next_message = message_of(progress.posted);
    post_next(ports[0], progress);
  }
  for (std::uint64_t i = 0; i < operation.receives_before; ++i) take_next(ports[0], progress);
}

// ---- its parent

bool converse_once(MessagePort& here, MessagePort& there) {
  here.post_message("here");
  there.post_message("there");
  const auto says = [](MessagePort& port, std::string_view text) {
    Received received = next_of(port);
    return received && received->text() == text;
  };
  return says(there, "here") && says(here, "there");
}

// What a new owner of one end, and the peer at the other, find.
class Aftermath {
 public:
  Aftermath(Progress& progress, MessagePort& given, MessagePort& brought)
      : progress_(progress), given_(given), brought_(brought) {}

  // What the child had posted.
  void read_posted(MessagePort& peer) {
    std::uint64_t next = 0;
    bool tail = false, arrived = false;
    for (Received received; (received = peer.try_receive());) {
      const std::uint64_t number = number_of(*received);
      tail = number == kLastWord;
      if (tail) break;
      const bool right = number == next && is_message(*received, number) && !received->redelivered();
      CHECK_MESSAGE(right, "message " << number << " where " << next << " was to come");
      if (!right) return;
      ++next;
      if (received->ports().empty()) continue;
      arrived = true;
      Received tag = next_of(received->ports()[0]);
      CHECK((tag && tag->text() == "unread"));
      CHECK(next_of(given_)->text() == "posted before");
      CHECK(converse_once(given_, received->ports()[0]));
    }
    CHECK(next >= progress_.posted);
    CHECK(next <= progress_.posted + 1);
    CHECK((arrived || !progress_.given_away));
    if (arrived) return;
    CHECK(next_of(given_)->text() == "posted before");
    CHECK(next_of(given_).status() == ReceiveStatus::closed);
    CHECK(close_reasons(given_) == std::vector{CloseReason::peer_died});
  }

  // What it had not let go of.
  void read_unread(MessagePort& successor) {
    std::uint64_t next = progress_.let_go;
    bool port_open = false;
    for (bool first = true; Received received = successor.try_receive(); first = false) {
      const std::uint64_t number = number_of(*received);
      if (first && number == next + 1 && progress_.seen > progress_.let_go) ++next;
      const bool right = number == next && is_message(*received, number);
      CHECK_MESSAGE(right, "message " << number << " where " << next << " was to come");
      if (!right) return;
      CHECK((received->redelivered() || number >= progress_.seen));  // never twice, unmarked
      CHECK((!received->redelivered() || first));
      ++next;
      if (number != kWithPort) continue;
      REQUIRE(received->ports().size() == 1);
      MessagePort& port = received->ports()[0];
      CHECK((port.is_open() || received->redelivered()));
      if (!(port_open = port.is_open())) continue;
      CHECK(next_of(port)->text() == "unread");
      CHECK(converse_once(brought_, port));
    }
    CHECK(next == kToRead);
    if (!port_open) CHECK(next_of(brought_).status() == ReceiveStatus::closed);
  }

 private:
  Progress& progress_;
  MessagePort& given_;
  MessagePort& brought_;
};

// Of a port whose owner was killed, perhaps while it recovered it: whether it had done so shows in its
// generation.
MessagePort recover_twice(PortHandle& handle, PortHandle& again, const FileDescriptor& owner) {
  constexpr std::uint64_t kTwoAdoptions = 3;
  try {
    return MessagePort::recover(std::move(handle), owner);
  } catch (const DataCloneError&) {
    PortHandle later(std::move(again.segment()), std::move(again.socket()),
                     again.generation() + kTwoAdoptions, again.second_side());
    return MessagePort::recover(std::move(later), owner);
  }
}

void post_what_waits(MessagePort& port, MessagePort& brought) {
  for (std::uint64_t number = 0; number < kToRead; ++number) {
    if (number == kWithPort)
      port.post_message(message_of(number), {.transfer = {brought}});
    else
      port.post_message(message_of(number));
  }
}

}  // namespace

std::span<const Operation> SteppedPort::operations() {
  return kOperations;
}

SteppedPort::Scene::Scene(const Operation& operation, Progress& progress)
    : operation_(operation), progress_(progress) {
  progress.posted = progress.seen = progress.let_go = 0;
  progress.given_away = false;
  brought_.port1.post_message("unread");
  given_.port1.post_message("unread");
  given_.port2.post_message("posted before");
  post_what_waits(data_.port2, brought_.port2);
  if (operation.from_adoption) static_cast<void>(data_.port1.info());  // it moves, and was used
  ward_.emplace(
      ports_of(std::move(data_.port1), std::move(given_.port2)),
      [this](Ports& ports) -> int {
        live(ports, operation_, progress_);
        if (operation_.from_recovery) end_for_tracer();
        if (!operation_.from_adoption) stand_still();
        operation_.act(ports, progress_);
        end_for_tracer();
      },
      [this] {
        next_message = message_of(0);
        if (operation_.from_adoption) stop_for_tracer();
      });
  again_ = duplicate(ward_->custody(0));
  if (operation.from_recovery) replace_owner();
}

// Its next steps are what is stepped through.
void SteppedPort::Scene::stand_still() {
  next_message = message_of(progress_.posted);
  stop_for_tracer();
}

void SteppedPort::Scene::replace_owner() {
  siginfo_t stopped{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(ward_->process().pid()), &stopped, WSTOPPED) == 0);
  ward_->process().kill_and_reap();
  successor_.emplace(ChildProcess::fork([this]() -> int {
    stand_still();
    Ports ports;
    ports.push_back(ward_->recover(0));
    operation_.act(ports, progress_);
    end_for_tracer();
  }));
}

void SteppedPort::Scene::strike(const Strike& strike) {
  std::vector<PortHandle> watched;
  for (const std::size_t index : {0U, 1U}) watched.push_back(duplicate(ward_->custody(index)));
  strike(successor_ ? successor_->pid() : ward_->process().pid(), watched);
  ward_->process().kill_and_reap();
  if (successor_) successor_->kill_and_reap();
}

void SteppedPort::Scene::check() {
  ward_->custody(1) = {};
  MessagePort port = recover_twice(ward_->custody(0), again_, ward_->pidfd());
  ward_->custody(0) = {};
  again_ = {};
  const bool closed = !port.is_open();
  CHECK((!closed || operation_.act == close_it));
  if (!closed) post_numbered(port, kLastWord);
  Aftermath aftermath(progress_, given_.port1, brought_.port1);
  aftermath.read_posted(data_.port2);
  if (!closed) {
    aftermath.read_unread(port);
    CHECK(converse_once(port, data_.port2));
    port.close();
  }
  CHECK(next_of(data_.port2).status() == ReceiveStatus::closed);
  CHECK(close_reasons(data_.port2) == std::vector{CloseReason::closed});
}

void SteppedPort::run(const Operation& operation, const Strike& strike) {
  Scene scene(operation, *progress_);
  scene.strike(strike);
  scene.check();
}

}  // namespace portolan::testing

#endif
