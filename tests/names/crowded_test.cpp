// SPDX-License-Identifier: Apache-2.0

// A broker whose user has too many descriptors under way: the kernel counts them by user, so that a
// neighbour, of which the broker knows nothing, may use up what there is.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <fstream>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "names/stranger.hpp"
#include "port/hand_over.hpp"
#include "support/child_process.hpp"
#include "support/condition.hpp"
#include "support/shared_page.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

const std::string kCrowdedName = "org.example.render";
constexpr rlim_t kOfBroker = 2048;
constexpr rlim_t kOfNeighbour = 4096;
constexpr std::uint32_t kQueued = 3;

bool have_soft_limit(rlim_t most) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = most;
  return limit.rlim_max >= most && ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// What a process that is started meanwhile inherits.
class SoftLimit {
 public:
  explicit SoftLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    REQUIRE(have_soft_limit(most));
  }
  SoftLimit(const SoftLimit&) = delete;
  SoftLimit& operator=(const SoftLimit&) = delete;
  ~SoftLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// Of as many references to a descriptor as a packet takes. False: the kernel takes no more.
bool send_many(int socket, int sent) {
  std::array<int, 253> numbers{};
  numbers.fill(sent);
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof numbers)> control{};
  char byte = 0;
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof numbers);
  std::memcpy(CMSG_DATA(header), numbers.data(), sizeof numbers);
  return ::sendmsg(socket, &message, MSG_DONTWAIT) == 1;
}

struct Signs {
  std::atomic<bool> used_up{false};
  std::atomic<bool> to_give_back{false};
};

// More than the broker may have under way, by itself.
int use_up(Signs& signs) {
  PORTOLAN_CHILD_REQUIRE(::setuid(kStranger) == 0 && have_soft_limit(kOfNeighbour));
  std::array<int, 2> ends{};
  PORTOLAN_CHILD_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  for (rlim_t sent = 0; sent <= kOfBroker; sent += 253) PORTOLAN_CHILD_REQUIRE(send_many(ends[0], 0));
  signs.used_up = true;
  PORTOLAN_CHILD_REQUIRE(wait_until([&] { return signs.to_give_back.load(); }, 4 * kPatience));
  return 0;
}

// Of the broker's user.
class Neighbour {
 public:
  Neighbour() : process_(ChildProcess::fork([this] { return use_up(*signs_); })) {
    REQUIRE(wait_until([&] { return signs_->used_up.load(); }));
  }
  void give_back() {
    signs_->to_give_back = true;
    CHECK(process_.wait() == ChildExit::exited(0));
  }

 private:
  SharedPage<Signs> signs_;
  ChildProcess process_;
};

std::uint32_t untaken() {
  const std::vector<ListedName> listed = list_names(kCrowdedName);
  return listed.empty() ? 0 : listed[0].pending;
}

// How often the process has gone to sleep.
std::uint64_t sleeps_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (word == "voluntary_ctxt_switches:") {
      std::uint64_t count = 0;
      status >> count;
      return count;
    }
  return 0;
}

// It tries again, and sleeps in between.
bool has_tried(const BrokerProcess& broker, std::uint64_t times) {
  const std::uint64_t slept = sleeps_of(broker.pid());
  return wait_until([&] { return sleeps_of(broker.pid()) >= slept + times; });
}

BrokerLimits patient_for(std::uint64_t silence_ms) {
  BrokerLimits limits;
  limits.silence_ms = silence_ms;
  return limits;
}

// Each with a message, until some of them do not fit into the listener's socket.
std::uint64_t connect_until_queued() {
  for (std::uint64_t count = 0; count < 10'000; ++count) {
    if (count % 16 == 0 && untaken() >= kQueued) return count;
    connect(kCrowdedName).post_message(count);
  }
  return 0;
}

// Those are the next ones, and each has its message.
void accept_ports(Listener& listener, std::uint64_t from, std::uint64_t until) {
  for (std::uint64_t number = from; number < until; ++number) {
    std::optional<ConnectEvent> event = listener.accept_for(kPatience);
    REQUIRE(event);
    REQUIRE(event->port().receive_for(kPatience)->data<std::uint64_t>() == number);
  }
}

}  // namespace

TEST_CASE("ports that a neighbour's descriptors keep a broker from passing on come when it gives them back") {
  if (!strangers_come_to(MeetingPlace())) return;
  std::optional<SoftLimit> of_broker(kOfBroker);
  BrokerProcess broker(patient_for(600'000), {}, {}, kStranger);
  of_broker.reset();
  const ManyDescriptors many;
  const PortCensus census;
  Listener listener(kCrowdedName);
  const std::uint64_t all = connect_until_queued();
  REQUIRE(all > 0);
  const std::uint32_t queued = untaken();
  Neighbour neighbour;
  accept_ports(listener, 0, all - queued);
  CHECK(untaken() == queued);
  CHECK(has_tried(broker, 3));
  CHECK(untaken() == queued);
  // Who needs no descriptors is served.
  {
    Listener other("org.example.other");
    CHECK(list_names("org.example.other").size() == 1);
  }
  neighbour.give_back();
  accept_ports(listener, all - queued, all);
  CHECK(untaken() == 0);
}

TEST_CASE("a listener that a neighbour's descriptors keep from its port for longer than a silence gets it") {
  if (!strangers_come_to(MeetingPlace())) return;
  std::optional<SoftLimit> of_broker(kOfBroker);
  BrokerProcess broker(patient_for(1'000), {}, {}, kStranger);
  of_broker.reset();
  const ManyDescriptors many;
  const PortCensus census;
  Listener listener(kCrowdedName);
  const std::uint64_t generation = listener.generation();
  Neighbour neighbour;
  connect(kCrowdedName).post_message(std::uint64_t{0});
  CHECK(untaken() == 1);
  CHECK(has_tried(broker, 75));  // every 20 ms
  CHECK(untaken() == 1);
  neighbour.give_back();
  accept_ports(listener, 0, 1);
  CHECK(listener.generation() == generation);
}
