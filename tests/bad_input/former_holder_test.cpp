// SPDX-License-Identifier: Apache-2.0

// Whoever held a port before has duplicates of its socket, and with them may change what all of them share.
// It can spoil that channel; every call on it ends, and other ports are no worse for it.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <linux/filter.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

namespace {

struct Meddling {
  std::string name;
  std::function<void(int)> with;
};

template <class T>
std::function<void(int)> option(int name, T value) {
  return [=](int socket) { ::setsockopt(socket, SOL_SOCKET, name, &value, sizeof value); };
}

std::vector<Meddling> meddlings() {
  return {
      {"blocking", [](int socket) { ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK); }},
      {"non-blocking", [](int socket) { ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK); }},
      {"no room to receive", option(SO_RCVBUF, 0)},
      {"no room to send", option(SO_SNDBUF, 0)},
      {"a time-out for receiving", option(SO_RCVTIMEO, timeval{0, 1})},
      {"looks begin in the middle of a packet", option(SO_PEEK_OFF, 5)},
      {"looks begin behind every packet", option(SO_PEEK_OFF, 5000)},
      {"credentials come with every packet", option(SO_PASSCRED, 1)},
      {"a filter that drops every packet",
       [](int socket) {
         sock_filter none[]{{BPF_RET | BPF_K, 0, 0, 0}};
         const sock_fprog filter{1, none};
         ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
       }},
      {"a filter that cuts every packet",
       [](int socket) {
         sock_filter cut[]{{BPF_RET | BPF_K, 0, 0, 7}};
         const sock_fprog filter{1, cut};
         ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
       }},
      {"shut down for receiving", [](int socket) { ::shutdown(socket, SHUT_RD); }},
      {"shut down for sending", [](int socket) { ::shutdown(socket, SHUT_WR); }},
      {"shut down", [](int socket) { ::shutdown(socket, SHUT_RDWR); }},
      {"packets in its peer's name",
       [](int socket) {
         for (int sent = 0; sent < 50; ++sent) ::send(socket, "junk", 4, MSG_DONTWAIT | MSG_NOSIGNAL);
       }},
  };
}

// Takes what comes, and sleeps for more.
class Thief {
 public:
  explicit Thief(int socket) : socket_(socket), thread_([this] { steal(); }) {}
  Thief(const Thief&) = delete;
  Thief& operator=(const Thief&) = delete;
  ~Thief() {
    stop_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
  }

 private:
  void steal() {
    std::array<std::byte, 4096> bytes;
    while (!stop_ && ::recv(socket_, bytes.data(), bytes.size(), 0) >= 0) {
    }
  }
  int socket_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void quietly(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception&) {
    // Refused, with an error that says so; only that it ends counts here.
  }
}

// Everything a program does with both ends. It ends, whatever comes of it.
void use(MessagePort& victim, MessagePort& peer) {
  for (int round = 0; round < 3; ++round) {
    MessageChannel sent, brought;
    quietly([&] { static_cast<void>(peer.try_post_message("text")); });
    quietly([&] { static_cast<void>(peer.try_post_message("a port", {.transfer = {sent.port1}})); });
    quietly([&] { static_cast<void>(victim.try_post_message("a port", {.transfer = {brought.port1}})); });
    for (int receives = 0; receives < 3; ++receives)
      quietly([&] { static_cast<void>(victim.receive_for(1ms)); });
    quietly([&] { static_cast<void>(peer.receive_for(1ms)); });
    quietly([&] {
      victim.on_message([](MessageEvent&) {});
      EventLoop::current().poll();
      victim.on_message(nullptr);
    });
    quietly([&] { victim = MessagePort::adopt(std::move(victim).release()); });
  }
}

void others_go_on(MessageChannel& bystander) {
  MessageChannel sent;
  bystander.port1.post_message("as ever", {.transfer = {sent.port1}});
  Received received = bystander.port2.receive();
  REQUIRE(received.status() == ReceiveStatus::message);
  MessagePort port = std::move(received->ports()[0]);
  port.post_message("through it");
  CHECK(sent.port2.receive()->text() == "through it");
}

}  // namespace

TEST_CASE("a former holder that changes the socket spoils that channel alone, and holds no call up") {
  for (const Meddling& meddling : meddlings()) {
    for (const bool asleep : {false, true}) {
      INFO(meddling.name);
      CAPTURE(asleep);
      const PortCensus census;
      MessageChannel channel, bystander;
      PortHandle former = channel.port1.custody_handle();
      if (asleep) quietly([&] { static_cast<void>(channel.port1.receive_for(1ms)); });
      meddling.with(former.socket().get());
      use(channel.port1, channel.port2);
      others_go_on(bystander);
    }
  }
}

TEST_CASE("a former holder that goes on receiving takes that channel's packets, and nothing else") {
  const PortCensus census;
  MessageChannel channel, bystander;
  PortHandle former = channel.port1.custody_handle();
  {
    const Thief thief(former.socket().get());
    use(channel.port1, channel.port2);
    others_go_on(bystander);
  }
}
