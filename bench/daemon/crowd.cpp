// SPDX-License-Identifier: Apache-2.0

#include "daemon/crowd.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <grp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/connecting.hpp"
#include "daemon/daemon_process.hpp"
#include "daemon/questions.hpp"

namespace bench {

namespace {

constexpr std::size_t kIdle = 10'000;
constexpr std::size_t kIdleEach = 1'000;  // of a process
constexpr std::size_t kHostile = 1'000;
constexpr std::size_t kWaiting = 50;  // requests of each that nobody will answer
constexpr std::size_t kTimedConnects = 4'000;
constexpr std::size_t kHeadBytes = 120;
constexpr uid_t kNobody = 65534;
constexpr std::uint64_t kMinuteNs = 60'000'000'000;

template <class T>
void put(std::vector<char>& packet, std::size_t at, T value) {
  std::memcpy(packet.data() + at, &value, sizeof value);
}

// For the daemon, which raises its own limit as far as this.
void raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= wanted) return;
  limit = {wanted, wanted};
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    throw std::runtime_error("bench: needs " + std::to_string(wanted) +
                             " descriptors; start it as root, or raise the hard limit");
}

// Connections that have said hello and had their welcome.
std::vector<portolan::FileDescriptor> greeted(const std::string& socket, std::size_t count) {
  const auto hello = packet_of(kHello, {}, 0);
  std::vector<portolan::FileDescriptor> crowd;
  while (crowd.size() < count) {
    auto connection = raw_connection(socket);
    if (!connection || !send_packet(connection, hello)) {
      ::usleep(100);
      continue;
    }
    char welcome[1024];
    pollfd asked{connection.get(), POLLIN, 0};
    if (::poll(&asked, 1, 30'000) != 1 || ::recv(connection.get(), welcome, sizeof welcome, 0) <= 0)
      throw std::runtime_error("bench: the daemon has turned a client away");
    crowd.push_back(std::move(connection));
  }
  return crowd;
}

struct Hostility {
  std::atomic<bool> there;
  std::atomic<std::uint64_t> sent;
};

// What the other user's program does beside the one that connects.
enum class Beside {
  nobody,
  spinning,  // sends into a socket of its own that is full: the part of the machine that is not the daemon's
  waiting,   // as many connections as it gets, all of which wait for names that never come
  talking,   // then more and more requests over all of them, and new connections for those that were ended
};

int be_hostile(const std::string& socket, Hostility& hostility, Beside what) {
  if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 1;
  const auto hello = packet_of(kHello, {}, 0), request = packet_of(kResolve, "org.example.none", kMinuteNs);
  if (what == Beside::spinning) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return 1;
    const portolan::FileDescriptor mine(pair[0]), other(pair[1]);
    hostility.there = true;
    for (;;) static_cast<void>(send_packet(mine, request));
  }
  std::vector<portolan::FileDescriptor> crowd(kHostile);
  const auto come = [&](portolan::FileDescriptor& each) {
    each = raw_connection(socket);
    if (!each || !send_packet(each, hello)) return;
    for (std::size_t i = 0; i < kWaiting; ++i) static_cast<void>(send_packet(each, request));
  };
  for (auto& each : crowd) come(each);
  hostility.there = true;
  if (what == Beside::waiting)
    for (;;) ::pause();
  for (;;)
    for (auto& each : crowd) {
      char answer[1024];
      while (each && ::recv(each.get(), answer, sizeof answer, MSG_DONTWAIT) > 0) {
      }
      if (each && send_packet(each, request))
        ++hostility.sent;
      else if (!each || errno != EAGAIN)
        come(each);
    }
}

}  // namespace

std::vector<char> packet_of(std::uint16_t kind, std::string_view name, std::uint64_t duration_ns) {
  std::vector<char> packet(kHeadBytes + name.size());
  std::memcpy(packet.data(), "ptld", 4);
  put(packet, 4, std::uint16_t{1});  // version
  put(packet, 6, kind);
  put(packet, 8, std::uint32_t{1});                          // number
  put(packet, 12, std::uint32_t{kind == kHello ? 1U : 0U});  // lowest version
  put(packet, 32, std::uint64_t{kind == kHello ? 1U : 0U});  // highest
  put(packet, 40, duration_ns);
  put(packet, 48, static_cast<std::uint16_t>(name.size()));
  std::memcpy(packet.data() + kHeadBytes, name.data(), name.size());
  return packet;
}

portolan::FileDescriptor raw_connection(const std::string& socket) {
  portolan::FileDescriptor connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  return connection;
}

bool send_packet(const portolan::FileDescriptor& connection, const std::vector<char>& packet) {
  return ::send(connection.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

void ask_for_idle_clients(const std::string& daemon, Figures& figures) {
  raise_descriptor_limit(kIdle + 1'000);
  DaemonProcess broker(daemon, {"--connections", std::to_string(2 * kIdle)});
  const std::uint64_t before = broker.memory_bytes();
  auto& there = shared_value<std::atomic<std::size_t>>();
  std::vector<pid_t> processes;
  for (std::size_t i = 0; i < kIdle / kIdleEach; ++i)
    processes.push_back(start_process([&] {
      const auto crowd = greeted(broker.socket(), kIdleEach);
      there += crowd.size();
      for (;;) ::pause();
      return 0;
    }));
  while (there < kIdle) ::usleep(1'000);
  figures.push_back({"the daemon with no client", static_cast<double>(before) / (1 << 20), "MiB"});
  figures.push_back(
      {"the daemon with 10,000 idle clients", static_cast<double>(broker.memory_bytes()) / (1 << 20), "MiB"});
  const double cpu = broker.cpu_seconds();
  ::sleep(2);
  figures.push_back({"its part of a processor then", (broker.cpu_seconds() - cpu) / 2 * 100, "%"});
  const pid_t service = start_process(accept_all);
  const Quantiles quantiles = quantiles_of(time_connects(kTimedConnects));
  figures.push_back({"connect beside 10,000 idle clients, median", quantiles.median, "us"});
  figures.push_back({"connect beside 10,000 idle clients, p99", quantiles.p99, "us"});
  kill_process(service);
  for (const pid_t each : processes) kill_process(each);
}

void ask_for_hostile_user(const std::string& daemon, Figures& figures) {
  if (::geteuid() != 0) throw std::runtime_error("bench: only root can be two users; start it as root");
  DaemonProcess broker(daemon, {});
  const pid_t service = start_process(accept_all);
  std::vector<double> times[4];  // by Beside
  auto& hostility = shared_value<Hostility>();
  // In turns, so that what else the machine does is in all of them.
  for (int round = 0; round < 3; ++round)
    for (const Beside what : {Beside::nobody, Beside::spinning, Beside::waiting, Beside::talking}) {
      hostility.there = false;
      pid_t hostile = -1;
      if (what != Beside::nobody)
        hostile = start_process([&] { return be_hostile(broker.socket(), hostility, what); });
      while (hostile > 0 && !hostility.there) ::usleep(1'000);
      const auto some = time_connects(kTimedConnects / 2);
      auto& all = times[static_cast<std::size_t>(what)];
      all.insert(all.end(), some.begin(), some.end());
      if (hostile > 0) kill_process(hostile);
    }
  kill_process(service);
  const auto p99 = [&](Beside what) { return quantiles_of(times[static_cast<std::size_t>(what)]).p99; };
  const double alone = p99(Beside::nobody), spinning = p99(Beside::spinning);
  figures.push_back({"connect of a user beside whom nobody is, p99", alone, "us"});
  figures.push_back({"beside 1,000 hostile connections of another user, p99", p99(Beside::waiting), "us"});
  figures.push_back({"that is", p99(Beside::waiting) / alone, "times"});
  figures.push_back({"beside a program of that user that spins without the daemon, p99", spinning, "us"});
  figures.push_back({"while the 1,000 connections send without end, p99", p99(Beside::talking), "us"});
  figures.push_back(
      {"that is, of what beside a spinning program it is", p99(Beside::talking) / spinning, "times"});
  figures.push_back({"packets sent by them", static_cast<double>(hostility.sent), ""});
}

}  // namespace bench
