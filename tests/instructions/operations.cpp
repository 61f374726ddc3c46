// SPDX-License-Identifier: Apache-2.0

// One operation, many times, with both ends in one thread: what callgrind counts. count.py runs it with two
// counts and divides the difference, so that starting up does not count.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <portolan/portolan.hpp>

#include "sending.hpp"

namespace {

using namespace portolan;

const std::vector<std::byte> payload(64);

struct Order {
  std::uint64_t number = 7;
  double price = 1.5;
  std::uint32_t pieces = 3;
  std::string name = "a name of 20 letters";

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& price& pieces& name;
  }
};

void receive_one(MessagePort& port) {
  if (!port.try_receive()) std::abort();
}

void post_and_receive(long count) {
  MessageChannel channel;
  for (long i = 0; i < count; ++i) {
    channel.port1.post_message(payload);
    receive_one(channel.port2);
  }
}

void look_in_vain(long count) {
  MessageChannel channel;
  channel.port1.post_message(payload);
  receive_one(channel.port2);
  for (long i = 0; i < count; ++i)
    if (channel.port2.try_receive().status() != ReceiveStatus::empty) std::abort();
}

void post_and_receive_in_batches(long count) {
  constexpr long kBatch = 16;
  MessageChannel channel;
  std::array<Received, kBatch> batch;
  for (long i = 0; i < count; i += kBatch) {
    for (long j = 0; j < kBatch; ++j) channel.port1.post_message(payload);
    if (channel.port2.receive_batch(batch) != kBatch) std::abort();
  }
}

void reserve_and_commit(long count) {
  MessageChannel channel;
  for (long i = 0; i < count; ++i) {
    Space space = channel.port1.reserve(payload.size());
    space.bytes()[0] = std::byte{1};
    space.commit(payload.size());
    receive_one(channel.port2);
  }
}

void post_number(long count) {
  MessageChannel channel;
  for (long i = 0; i < count; ++i) {
    channel.port1.post_message(std::uint64_t{7});
    if (channel.port2.try_receive()->data<std::uint64_t>() != 7) std::abort();
  }
}

void post_value(long count) {
  MessageChannel channel;
  const Order order;
  for (long i = 0; i < count; ++i) {
    channel.port1.post_message(order);
    if (channel.port2.try_receive()->data<Order>().number != order.number) std::abort();
  }
}

void dispatch(long count) {
  constexpr long kBurst = 64;
  MessageChannel channel;
  long seen = 0;
  channel.port2.on_message([&](MessageEvent&) { ++seen; });
  for (long i = 0; i < count; i += kBurst) {
    for (long j = 0; j < kBurst; ++j) channel.port1.post_message(payload);
    while (seen < i + kBurst) EventLoop::current().poll();
  }
}

void move_port(long count) {
  MessageChannel carrier, channel;
  MessagePort travelling = std::move(channel.port2);
  for (long i = 0; i < count; ++i) {
    carrier.port1.post_message("on", {.transfer = {travelling}});
    travelling = std::move(carrier.port2.receive()->ports()[0]);
  }
}

void make_and_use_channel(long count) {
  for (long i = 0; i < count; ++i) {
    MessageChannel channel;
    channel.port1.post_message(payload);
    receive_one(channel.port2);
  }
}

const std::map<std::string, std::function<void(long)>> operations{
    {"post+receive", post_and_receive},
    {"send+receive", send_and_receive},
    {"receive_nothing", look_in_vain},
    {"post+receive_batch", post_and_receive_in_batches},
    {"reserve+commit+receive", reserve_and_commit},
    {"post+receive_number", post_number},
    {"post+receive_value", post_value},
    {"post+on_message", dispatch},
    {"move", move_port},
    {"channel+post+receive", make_and_use_channel},
};

}  // namespace

int main(int argument_count, char** arguments) {
  const auto operation = argument_count == 3 ? operations.find(arguments[1]) : operations.end();
  if (operation == operations.end()) {
    for (const auto& [name, run] : operations) std::puts(name.c_str());
    return argument_count == 1 ? 0 : 2;
  }
  operation->second(std::atol(arguments[2]));
  return 0;
}
