// SPDX-License-Identifier: Apache-2.0

// A broker brings two processes together and steps aside: the client asks for a service by name and sends a
// port with its first questions already in it; the broker hands that port on, and the two talk directly.
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <portolan/portolan.hpp>

struct Wanted {
  std::string service;
  portolan::MessagePort port;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& service& port;
  }
};

static void serve() {
  portolan::MessagePort broker = portolan::parent_port();
  portolan::Received introduction = broker.receive();
  if (!introduction) return;
  portolan::MessagePort client = std::move(introduction->ports()[0]);
  while (portolan::Received question = client.receive())
    client.post_message("answer to " + std::string(question->text()));
}

static void ask() {
  portolan::MessageChannel channel;
  channel.port1.post_message("question 1");  // unread when its port moves, twice
  channel.port1.post_message("question 2");
  portolan::parent_port().post_message(Wanted{"oracle", std::move(channel.port2)});
  for (int i = 0; i < 2; ++i)
    if (portolan::Received answer = channel.port1.receive())
      std::printf("%s\n", std::string(answer->text()).c_str());
}

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "broker";
  if (role == "serve") return serve(), 0;
  if (role == "ask") return ask(), 0;

  std::map<std::string, portolan::Worker> services;
  services.try_emplace("oracle", "/proc/self/exe", std::vector<std::string>{"serve"});
  portolan::Worker client("/proc/self/exe", {"ask"});
  client.on_message<Wanted>([&](Wanted wanted) {
    services.at(wanted.service).post_message("a client for you", {.transfer = {wanted.port}});
  });
  portolan::EventLoop::current().run();  // until both have exited; no answer passes through here
}
