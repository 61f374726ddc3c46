// SPDX-License-Identifier: Apache-2.0

// Sends the files that it is told, piece by piece, straight to the collector.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "diary.hpp"
#include "roles.hpp"

namespace demo {

namespace {

template <class T>
void post(portolan::MessagePort& stream, T&& value) {
  using namespace std::chrono_literals;
  // Waits while the collector is behind.
  if (stream.post_message_for(60s, std::forward<T>(value)) != portolan::PostResult::posted)
    throw std::runtime_error("the collector does not take any more");
}

void send_file(portolan::MessagePort& stream, Order order) {
  const portolan::FileDescriptor file(open(order.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw std::runtime_error("cannot open " + order.path);
  post(stream, std::move(order));
  std::vector<std::byte> piece(60'000);
  std::uint64_t size_bytes = 0;
  for (ssize_t got = 0; (got = read(file.get(), piece.data(), piece.size())) > 0;) {
    post(stream, std::span<const std::byte>(piece).first(static_cast<std::size_t>(got)));
    size_bytes += static_cast<std::uint64_t>(got);
  }
  post(stream, size_bytes);
}

}  // namespace

int work() {
  std::map<std::string, portolan::MessagePort> ports = portolan::inherited_ports();
  const char* const given = std::getenv("DEMO_PROCESS");
  const std::string name = given != nullptr ? given : "worker";
  Diary diary(std::move(ports.at("log")), name);
  portolan::MessagePort stream = std::move(ports.at("stream"));
  portolan::MessagePort start = std::move(ports.at("start"));
  diary.note("got", "stream " + name.substr(7) + ", sending end", stream);
  bool began = false;
  while (portolan::Received task = start.receive()) {
    if (!task->is<Order>()) break;
    if (!std::exchange(began, true)) diary.note("begins to send");
    send_file(stream, task->data<Order>());
  }
  stream.close();
  diary.note("exits");
  return 0;
}

}  // namespace demo
