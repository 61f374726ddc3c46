// SPDX-License-Identifier: Apache-2.0

#include "sending.hpp"

#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

void send_and_receive(long count) {
  using namespace portolan;
  const std::vector<std::byte> payload(64);
  MessageChannel channel;
  Sender sender = split(std::move(channel.port1)).first;
  for (long i = 0; i < count; ++i) {
    sender.post_message(payload);
    if (!channel.port2.try_receive()) std::abort();
  }
}
